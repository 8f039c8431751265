/**
 * A world around the core that does whatever a seed says, in whatever order: jobs arrive, leave, end, end twice,
 * consumers die and come back, probes lie, answers come late. Its judges know the promises (one lock, one end, first
 * come first served) and not the code. Time and memory in truth are the business of `sim/`, not of this.
 */
import { step } from '../../src/core/broker.js';
import type { Command } from '../../src/core/commands.js';
import type { CoreEvent } from '../../src/core/events.js';
import { policyOf } from '../../src/core/policies/registry.js';
import { snapshotOf } from '../../src/core/snapshot.js';
import { newBrokerState } from '../../src/core/state.js';
import { consumerId, JOB_CLASSES, type JobId, jobId, type PolicyName } from '../../src/core/vocabulary.js';
import { CoreConsumers } from './core-consumers.js';
import { settingsFor } from './scenario.js';

export interface Action {
  readonly kind:
    | 'announce'
    | 'arrive'
    | 'leave'
    | 'end'
    | 'over'
    | 'again'
    | 'probe'
    | 'cancel'
    | 'config'
    | 'time'
    /** One of the questions and requests that the core has open is answered, or lied to. */
    | 'answer'
    | 'out_of_memory'
    | 'operator';
  /** Chooses whom it hits. */
  readonly pick: number;
}

interface KnownJob {
  readonly id: JobId;
  phase: 'announced' | 'waiting' | 'granted' | 'aborted' | 'over';
  ends: number;
  grants: number;
}

const CONSUMERS = ['a', 'b', 'c', 'd', 'e'];
const FEATURES = {
  a: '9000+1000,ask',
  b: '14000+2000,ask,unit,spares=a',
  c: '6000+500,start,unit',
  d: '12000+3000,ask,works',
  e: '8000+1000,ask,call',
};

export class CoreWorld {
  readonly complaints: string[] = [];
  readonly #policy: PolicyName;
  readonly #state;
  readonly #jobs = new Map<JobId, KnownJob>();
  readonly #arrivals: JobId[] = [];
  readonly journal: string[] = [];
  readonly #open = new CoreConsumers();
  #nowMs = 0;
  #made = 0;
  #consumers = CONSUMERS;

  constructor(policy: PolicyName) {
    this.#policy = policy;
    this.#state = newBrokerState(this.#settings(), 0);
    for (const name of CONSUMERS) this.#post(this.#probeOf(name, 'good'));
  }

  act({ kind, pick }: Action): void {
    this.#nowMs += pick % 7;
    switch (kind) {
      case 'announce':
        this.#announce(pick);
        break;
      case 'arrive':
        this.#withJob(pick, ['announced'], (id) => ({ type: 'JobArrived', jobId: id, model: null }));
        break;
      case 'leave':
        this.#withJob(pick, ['announced', 'waiting', 'granted'], (id) => ({ type: 'ClientLeft', jobId: id }));
        break;
      case 'end':
        this.#withJob(pick, ['granted'], (id) => this.#endOf(id, pick));
        break;
      case 'over':
        this.#withJob(pick, ['aborted'], (id) => ({ type: 'WorkEnded', jobId: id }));
        break;
      case 'again':
        this.#withJob(pick, ['over', 'aborted', 'waiting'], (id) => this.#endOf(id, pick));
        break;
      case 'cancel':
        this.#withJob(pick, ['announced', 'waiting', 'granted', 'over'], (id) => ({
          type: 'OperatorAsked',
          action: { kind: 'cancel', job: id },
          by: 'judge',
        }));
        break;
      case 'probe': {
        const results = ['good', 'good', 'bad', 'timed_out'] as const;
        this.#post(this.#probeOf(CONSUMERS[pick % 5] ?? 'a', results[pick % 4] ?? 'good'));
        break;
      }
      case 'config':
        this.#consumers = pick % 3 === 0 ? CONSUMERS.slice(1) : CONSUMERS;
        this.#post({ type: 'ConfigApplied', settings: this.#settings() });
        break;
      case 'answer':
        this.#postIf(this.#open.answerOne(pick, this.#nowMs));
        break;
      case 'out_of_memory':
        this.#withJob(pick, ['granted'], (id) => this.#outOfMemory(id, pick));
        break;
      case 'operator':
        this.#post(this.#open.operatorAsks(pick));
        break;
      case 'time':
        this.#nowMs += pick % 2 === 0 ? 500 : -500;
        this.#post({ type: 'Ticked' });
        break;
    }
  }

  /** Lets everything come to its end; afterwards nobody may be left anywhere. */
  settle(): void {
    this.#consumers = CONSUMERS;
    this.#post({ type: 'ConfigApplied', settings: this.#settings() });
    for (const name of CONSUMERS) this.#post(this.#probeOf(name, 'good'));
    for (const job of [...this.#jobs.values()]) {
      if (job.phase === 'announced') this.#post({ type: 'JobArrived', jobId: job.id, model: null });
    }
    for (let round = 0; round <= 60 * (this.#jobs.size + 5); round++) {
      this.#nowMs += 250;
      this.#postIf(this.#open.answerTruly(this.#nowMs) ?? { type: 'Ticked' });
      for (const job of [...this.#jobs.values()]) {
        if (job.phase === 'granted') this.#post(this.#endOf(job.id, 0));
        if (job.phase === 'aborted') this.#post({ type: 'WorkEnded', jobId: job.id });
      }
    }
    for (const job of this.#jobs.values()) {
      if (job.ends !== 1) this.complaints.push(`${job.id} has ${job.ends} ends`);
      if (job.phase !== 'over') this.complaints.push(`${job.id} is left ${job.phase}`);
    }
    const snapshot = snapshotOf(this.#state);
    if (snapshot.totalJobs !== this.#jobs.size) {
      this.complaints.push(`total_jobs says ${snapshot.totalJobs}, there were ${this.#jobs.size}`);
    }
    if (snapshot.queueDepth + snapshot.inFlight !== 0)
      this.complaints.push('somebody is left in the queue or in flight');
  }

  #postIf(event: CoreEvent | null): void {
    if (event !== null) this.#post(event);
  }

  #outOfMemory(id: JobId, pick: number): CoreEvent {
    return { type: 'OutOfMemorySeen', jobId: id, canRetry: pick % 3 !== 0, message: 'CUDA out of memory' };
  }

  #announce(pick: number): void {
    this.#made += 1;
    const id = jobId(`j${this.#made}`);
    this.#jobs.set(id, { id, phase: 'announced', ends: 0, grants: 0 });
    const consumer = consumerId(CONSUMERS[pick % 5] ?? 'a');
    const jobClass = JOB_CLASSES[pick % 3] ?? 'normal';
    this.#post({ type: 'JobAnnounced', job: { id, consumer, capability: null, class: jobClass, client: 'x' } });
  }

  #withJob(pick: number, phases: readonly KnownJob['phase'][], make: (id: JobId) => CoreEvent): void {
    const candidates = [...this.#jobs.values()].filter((job) => phases.includes(job.phase));
    const chosen = candidates[pick % Math.max(1, candidates.length)];
    if (chosen !== undefined) this.#post(make(chosen.id));
  }

  #endOf(id: JobId, pick: number): CoreEvent {
    const outcome = { end: 'done', code: null, message: null } as const;
    return { type: 'JobEnded', jobId: id, outcome, workOver: pick % 5 !== 4 };
  }

  #probeOf(name: string, result: 'good' | 'bad' | 'timed_out'): CoreEvent {
    const error = result === 'good' ? null : result;
    return { type: 'ProbeEnded', consumer: consumerId(name), result, error, startedAt: this.#nowMs };
  }

  #settings() {
    const features = policyOf(this.#policy).makesRoom ? FEATURES : {};
    const queueTimeoutMs = policyOf(this.#policy).makesRoom ? 60_000 : 900;
    return settingsFor({ policy: this.#policy, consumers: this.#consumers, queueMax: 12, queueTimeoutMs, features });
  }

  #post(event: CoreEvent): void {
    if (event.type === 'JobArrived') this.#noteArrival(event.jobId);
    if (event.type === 'WorkEnded') this.#overIf(event.jobId, 'aborted');
    if (event.type === 'JobEnded' && event.workOver) this.#overIf(event.jobId, 'aborted');
    const { commands } = step(this.#state, event, this.#nowMs);
    if (event.type === 'OutOfMemorySeen') this.#heldBack(event.jobId, commands);
    for (const command of commands) this.#open.see(command, this.#consumerOf(command));
    for (const command of commands) this.#judge(command, event);
    this.#judgeLock();
    this.#judgeProgress();
    this.journal.push(JSON.stringify(commands));
  }

  /** Its answer is held back: it waits again, or it ends. */
  #heldBack(id: JobId, commands: readonly Command[]): void {
    const job = this.#jobs.get(id);
    const stays = commands.some(({ type }) => type === 'PassAnswer' || type === 'AbortJob');
    if (job?.phase === 'granted' && !stays) job.phase = 'waiting';
  }

  #consumerOf(command: Command): string | null {
    if (command.type !== 'GrantJob' && command.type !== 'RetryJob') return null;
    return this.#state.jobs.get(command.jobId)?.consumer ?? null;
  }

  #noteArrival(id: JobId): void {
    const job = this.#jobs.get(id);
    if (job?.phase !== 'announced') return;
    job.phase = 'waiting';
    this.#arrivals.push(id);
  }

  #overIf(id: JobId, phase: KnownJob['phase']): void {
    const job = this.#jobs.get(id);
    if (job?.phase === phase) job.phase = 'over';
  }

  #judge(command: Command, event: CoreEvent): void {
    if (command.type === 'GrantJob') this.#judgeGrant(command.jobId);
    if (command.type === 'RetryJob') this.#setPhase(command.jobId, 'waiting', 'granted');
    if (command.type === 'AbortJob') this.#aborted(command.jobId);
    if (command.type === 'RefuseJob') this.#refused(command.jobId);
    if (command.type !== 'RecordFact' || command.fact.type !== 'job') return;
    const job = this.#jobs.get(command.fact.job.id);
    if (job === undefined) return;
    if (command.fact.change === 'ended') job.ends += 1;
    if (command.fact.change === 'work_over') job.phase = 'over';
    // Ended by the proxy while its work goes on: the grant is still out.
    const working = event.type === 'JobEnded' && !event.workOver;
    if (command.fact.change === 'ended' && working && job.phase === 'granted') job.phase = 'aborted';
    if (command.fact.change === 'ended' && event.type === 'JobEnded' && job.phase === 'waiting') job.phase = 'over';
  }

  #judgeGrant(id: JobId): void {
    const job = this.#jobs.get(id);
    if (job?.phase !== 'waiting') this.complaints.push(`${id} was granted while ${job?.phase}`);
    else job.phase = 'granted';
    const before = this.#arrivals.slice(0, this.#arrivals.indexOf(id));
    const overtaken = before.filter((other) => this.#jobs.get(other)?.phase === 'waiting');
    const unready = (other: JobId) => this.#state.jobs.get(other) && (!this.#isUp(other) || this.#wentAside(other));
    if (!overtaken.every(unready)) this.complaints.push(`${id} overtook ${overtaken.join(' ')}`);
  }

  #wentAside(id: JobId): boolean {
    const reasons = this.#state.jobs.get(id)?.reasons ?? [];
    const codes = reasons.map(({ reason }) => reason.code);
    return codes.some((code) =>
      ['no_room', 'foreign_work', 'cooling_down', 'protected', 'state_unknown'].includes(code),
    );
  }

  #isUp(id: JobId): boolean {
    const consumer = this.#state.jobs.get(id)?.consumer;
    return consumer !== undefined && this.#state.consumers.get(consumer)?.health === 'up';
  }

  #refused(id: JobId): void {
    const job = this.#jobs.get(id);
    if (job?.phase === 'granted' || job?.phase === 'aborted') this.complaints.push(`${id} was refused after its grant`);
    if (job !== undefined) job.phase = 'over';
  }

  /** One that ran out of memory once may end while it waits for its second try. */
  #aborted(id: JobId): void {
    const job = this.#jobs.get(id);
    const again = job?.phase === 'waiting' && this.#state.jobs.get(id)?.triedAgain === true;
    this.#setPhase(id, again ? 'waiting' : 'granted', again ? 'waiting' : 'aborted');
  }

  #setPhase(id: JobId, from: KnownJob['phase'], to: KnownJob['phase']): void {
    const job = this.#jobs.get(id);
    if (job?.phase !== from) this.complaints.push(`${id} cannot go on while it is ${job?.phase}`);
    if (job !== undefined) job.phase = to;
  }

  #judgeLock(): void {
    const out = [...this.#jobs.values()].filter((job) => job.phase === 'granted' || job.phase === 'aborted').length;
    if (policyOf(this.#policy).locks && out > 1) this.complaints.push(`${out} grants are out under one lock`);
    if (snapshotOf(this.#state).inFlight !== out) this.complaints.push('in_flight is not what is granted');
  }

  #judgeProgress(): void {
    // Where room is made, a question may be open.
    if (policyOf(this.#policy).makesRoom) return;
    if (snapshotOf(this.#state).stalledSince !== null) this.complaints.push('a job could be granted and is not');
  }
}
