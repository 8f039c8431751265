/**
 * A world around the core that does whatever a seed says: jobs arrive, leave, end, end twice, consumers die and come
 * back, probes lie. Its judges know the promises (one lock, one end, first come first served) and not the code.
 */
import { step } from '../../src/core/broker.js';
import type { Command } from '../../src/core/commands.js';
import type { CoreEvent } from '../../src/core/events.js';
import { snapshotOf } from '../../src/core/snapshot.js';
import { newBrokerState } from '../../src/core/state.js';
import { consumerId, JOB_CLASSES, type JobId, jobId, type PolicyName } from '../../src/core/vocabulary.js';
import { settingsFor } from './scenario.js';

export interface Action {
  readonly kind: 'announce' | 'arrive' | 'leave' | 'end' | 'over' | 'again' | 'probe' | 'cancel' | 'config' | 'time';
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

export class CoreWorld {
  readonly complaints: string[] = [];
  readonly #policy: PolicyName;
  readonly #state;
  readonly #jobs = new Map<JobId, KnownJob>();
  readonly #arrivals: JobId[] = [];
  readonly journal: string[] = [];
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
    for (let round = 0; round <= this.#jobs.size; round++) {
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
    return settingsFor({ policy: this.#policy, consumers: this.#consumers, queueMax: 12, queueTimeoutMs: 900 });
  }

  #post(event: CoreEvent): void {
    if (event.type === 'JobArrived') this.#noteArrival(event.jobId);
    if (event.type === 'WorkEnded') this.#overIf(event.jobId, 'aborted');
    if (event.type === 'JobEnded' && event.workOver) this.#overIf(event.jobId, 'aborted');
    const { commands } = step(this.#state, event, this.#nowMs);
    for (const command of commands) this.#judge(command, event);
    this.#judgeLock();
    this.#judgeProgress();
    this.journal.push(JSON.stringify(commands));
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
    if (command.type === 'AbortJob') this.#setPhase(command.jobId, 'granted', 'aborted');
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
    const unready = (other: JobId) => this.#state.jobs.get(other) && !this.#isUp(other);
    if (!overtaken.every(unready)) this.complaints.push(`${id} overtook ${overtaken.join(' ')}`);
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

  #setPhase(id: JobId, from: KnownJob['phase'], to: KnownJob['phase']): void {
    const job = this.#jobs.get(id);
    if (job?.phase !== from) this.complaints.push(`${id} was aborted while ${job?.phase}`);
    if (job !== undefined) job.phase = to;
  }

  #judgeLock(): void {
    const out = [...this.#jobs.values()].filter((job) => job.phase === 'granted' || job.phase === 'aborted').length;
    if (this.#policy === 'locked' && out > 1) this.complaints.push(`${out} grants are out under one lock`);
    if (snapshotOf(this.#state).inFlight !== out) this.complaints.push('in_flight is not what is granted');
  }

  #judgeProgress(): void {
    if (snapshotOf(this.#state).stalledSince !== null) this.complaints.push('a job could be granted and is not');
  }
}
