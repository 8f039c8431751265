/**
 * The life of a job inside the broker: the only functions that move one from phase to phase. A job ends exactly once
 * (`endJob`), its grant comes back exactly once (`releaseGrant`). Pure but for the state handed in.
 */
import { releaseLoadClaimsByReading, releaseRunClaimsByReading } from './claims.js';
import type { Command } from './commands.js';
import type { JobView } from './facts.js';
import { noteMemoryChange } from './ledger.js';
import { raiseUnseenRun } from './raising.js';
import { move, targetStateOf } from './residency.js';
import type { BrokerState, ConsumerState, JobRecord, TargetState } from './state.js';
import {
  type ConsumerId,
  type JobEnd,
  type JobId,
  type JobOutcome,
  type MonotonicMs,
  type Target,
  targetName,
  type WaitReason,
} from './vocabulary.js';
import { reasonOf } from './waiting.js';

const KEPT_REASONS = 32;

/** One step's working set: the state, its time, and the commands it has issued so far. */
export interface Step {
  readonly state: BrokerState;
  readonly now: MonotonicMs;
  readonly commands: Command[];
}

/** `place`: only for a job that waits, where the asker knows it. */
export function viewOf(
  state: BrokerState,
  job: JobRecord,
  place: { readonly position: number; readonly expectedWaitMs: number | null } | null,
): JobView {
  const waiting = job.phase === 'taking_in' || job.phase === 'waiting';
  return {
    id: job.id,
    consumer: job.consumer,
    model: job.model,
    capability: job.capability,
    class: job.class,
    client: job.client,
    state: job.outcome !== null ? 'ended' : waiting ? 'waiting' : 'running',
    answered: job.answered,
    queuedAt: job.announcedAt,
    grantedAt: job.grantedAt,
    firstByteAt: job.firstByteAt,
    endedAt: job.endedAt,
    position: place?.position ?? null,
    expectedWaitMs: place?.expectedWaitMs ?? null,
    reason: waiting && job.outcome === null ? reasonOf(state, job) : null,
    reasons: job.reasons.slice(),
    outcome: job.outcome,
  };
}

type JobChange = 'announced' | 'queued' | 'granted' | 'answered' | 'ended' | 'work_over';

export function tellJob(step: Step, job: JobRecord, change: JobChange): void {
  const place = change === 'queued' ? { position: step.state.queue.size, expectedWaitMs: null } : null;
  step.commands.push({ type: 'RecordFact', fact: { type: 'job', change, job: viewOf(step.state, job, place) } });
}

/** Remembers why the job waits, once per cause: the same target holding the card again is the same cause. */
export function noteReason(job: JobRecord, reason: WaitReason, now: MonotonicMs): void {
  const last = job.reasons.at(-1)?.reason;
  if (last !== undefined && sameCause(last, reason)) return;
  // The first reason tells how it began, the newest what holds it now: what is dropped is from the middle.
  if (job.reasons.length >= KEPT_REASONS) job.reasons.splice(1, 1);
  job.reasons.push({ at: now, reason });
}

function sameCause(a: WaitReason, b: WaitReason): boolean {
  if (a.code !== b.code) return false;
  if (!('target' in a) || !('target' in b)) return true;
  return a.target.consumer === b.target.consumer && a.target.model === b.target.model;
}

export function grantJob(step: Step, job: JobRecord): void {
  const { state, now } = step;
  state.queue.remove(job);
  job.phase = 'running';
  job.grantedAt = now;
  if (job.usesCard) state.grants.set(job.id, job);
  state.lastWaitMs = now - job.announcedAt;
  const consumer = state.consumers.get(job.consumer);
  if (consumer !== undefined) {
    if (job.usesCard) consumer.grants.add(job.id);
    consumer.lastUsedAt = now;
  }
  tellJob(step, job, 'granted');
  step.commands.push({ type: job.triedAgain ? 'RetryJob' : 'GrantJob', jobId: job.id });
}

/** The job's one end. `workOver: false` keeps its grant out until `releaseGrant`. */
export function endJob(step: Step, job: JobRecord, outcome: JobOutcome, workOver: boolean): void {
  const { state, now } = step;
  if (job.outcome !== null) throw new Error(`job ${job.id} would end twice`);
  job.outcome = outcome;
  job.endedAt = now;
  state.totalJobs += 1;
  countForConsumer(state, job, outcome, now);
  const granted = job.grantedAt !== null;
  if (granted) state.lastRunMs = now - (job.grantedAt ?? now);
  leavePhase(state, job);
  if (state.turn?.jobId === job.id) state.turn = null;
  tellJob(step, job, 'ended');
  if (!granted) {
    state.jobs.delete(job.id);
    return;
  }
  job.phase = 'winding_down';
  if (workOver) releaseGrant(step, job);
}

function leavePhase(state: BrokerState, job: JobRecord): void {
  if (job.phase === 'taking_in') state.takingIn -= 1;
  if (job.phase === 'waiting') state.queue.remove(job);
}

function countForConsumer(state: BrokerState, job: JobRecord, outcome: JobOutcome, now: MonotonicMs): void {
  const consumer = state.consumers.get(job.consumer);
  if (consumer === undefined) return;
  consumer.totalRequests += 1;
  // The consumer's failures, not the caller's or ours: cancelled and refused jobs say nothing about it.
  if (outcome.end === 'failed' || outcome.code === 'consumer_timeout') consumer.failedRequests += 1;
  if (outcome.end === 'done' && job.grantedAt !== null) consumer.runTimes.add(now - job.grantedAt);
}

/** The job's work is over: its grant comes back and the job is forgotten. */
export function releaseGrant(step: Step, job: JobRecord): void {
  const { state, now } = step;
  state.grants.delete(job.id);
  state.jobs.delete(job.id);
  if (state.grants.size === 0) state.idleSince = now;
  if (job.usesCard) noteMemoryChange(state, now);
  releaseRunClaimsByReading(state, job.id, now);
  const consumer = state.consumers.get(job.consumer);
  if (consumer !== undefined) {
    consumer.grants.delete(job.id);
    consumer.lastGrantOverAt = now;
    consumer.lastUsedAt = now;
    if (job.usesCard) settleTarget(step, job);
  }
  tellJob(step, job, 'work_over');
}

/** What the end of its work says about its target: a good answer means that it was loaded, a bad one nothing. */
function settleTarget(step: Step, job: JobRecord): void {
  const target = targetStateOf(step.state, { consumer: job.consumer, model: job.model });
  target.lastUsedAt = step.now;
  if (job.triedAgain && job.outcome?.end === 'done') raiseUnseenRun(step, target);
  if (target.residency !== 'loading') return;
  if (job.outcome?.end === 'done') target.loadSeenAt ??= step.now;
  else if (isLoadInDoubt(step.state, target) && !isLoadingForOthers(step.state, job)) {
    releaseLoadClaimsByReading(step.state, target, step.now);
    move(step, target, 'unknown', { code: 'failed', message: job.outcome?.message ?? 'the job that loaded it failed' });
  }
}

/** Nothing of its answer was seen, or its consumer went down since. */
function isLoadInDoubt(state: BrokerState, target: TargetState): boolean {
  return target.loadSeenAt === null || state.consumers.get(target.target.consumer)?.health === 'down';
}

function isLoadingForOthers(state: BrokerState, job: JobRecord): boolean {
  if (state.operation?.target === targetName({ consumer: job.consumer, model: job.model })) return true;
  return [...state.grants.values()].some((other) => other.consumer === job.consumer && other.model === job.model);
}

export function outcomeOf(end: JobEnd, code: string, message: string): JobOutcome {
  return { end, code, message };
}

/** Ends a job from our side, wherever it is: before its grant it is refused, after it its consumer is broken off. */
export function stopJob(step: Step, job: JobRecord, outcome: JobOutcome, retryAfterS?: number): void {
  const granted = job.grantedAt !== null;
  endJob(step, job, outcome, false);
  if (granted) step.commands.push({ type: 'AbortJob', jobId: job.id, outcome });
  else if (retryAfterS === undefined) step.commands.push({ type: 'RefuseJob', jobId: job.id, outcome });
  else step.commands.push({ type: 'RefuseJob', jobId: job.id, outcome, retryAfterS });
}

/** Ends all jobs that do not run: of one consumer, or (null) of all. Also those that wait for their second try. */
export function refuseWaiting(step: Step, id: ConsumerId | null, outcome: JobOutcome): void {
  for (const job of step.state.jobs.values()) {
    const waits = job.phase === 'taking_in' || job.phase === 'waiting';
    if (waits && (id === null || job.consumer === id)) stopJob(step, job, outcome);
  }
}

/** Ends all jobs that wait for one target. */
export function endWaitersOf(step: Step, wanted: Target, outcome: JobOutcome): void {
  for (const job of [...step.state.queue]) {
    if (job.consumer === wanted.consumer && job.model === wanted.model) stopJob(step, job, outcome);
  }
}

/** `ConsumerAsked` follows, whether it answers or not; until then it is not asked again. */
export function askConsumer(step: Step, consumer: ConsumerState): void {
  if (consumer.askingSince !== null) return;
  consumer.askingSince = step.now;
  step.commands.push({ type: 'AskConsumer', consumer: consumer.id });
}

/** An event for a job that is not there (any more) is counted: two ends, an end after a cancel, a late first byte. */
export function findJob(step: Step, id: JobId): JobRecord | null {
  const job = step.state.jobs.get(id);
  if (job === undefined) step.state.strayEvents += 1;
  return job ?? null;
}
