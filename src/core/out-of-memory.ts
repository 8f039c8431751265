/**
 * A consumer ran out of memory in spite of everything: its size was wrong. It is raised at once, everybody else who
 * can leave does, and the job is tried once more if nothing of it went out and its body can be sent again.
 */
import { dropRunClaims, releaseLoadClaimsByReading } from './claims.js';
import type { EventOf } from './events.js';
import { footprintOf, learnedOf } from './footprints.js';
import { askConsumer, endJob, type Step } from './jobs.js';
import { raisedMib } from './learning.js';
import { noteMemoryChange } from './ledger.js';
import { policyOf } from './policies/registry.js';
import { mostRunMib } from './possible.js';
import { saveMemory } from './remembering.js';
import { move, targetStateOf } from './residency.js';
import { canBeAsked } from './startable.js';
import { type JobRecord, NO_AMOUNTS, type TargetState } from './state.js';

const RAISED_BY = 1.25;

export function seeOutOfMemory(step: Step, event: EventOf<'OutOfMemorySeen'>): void {
  const { state } = step;
  const job = state.jobs.get(event.jobId);
  if (job === undefined || job.phase !== 'running') return;
  const target = countOutOfMemory(step, job, event.message);
  if (!policyOf(state.settings.policy).makesRoom) {
    failLoadingOf(step, target);
    step.commands.push({ type: 'PassAnswer', jobId: job.id });
    return;
  }
  // Of a consumer that left the configuration nothing is granted any more.
  if (event.canRetry && !job.triedAgain && state.consumers.has(job.consumer)) {
    tryAgain(step, job, target);
    return;
  }
  const again = job.triedAgain ? ', also when it was tried again with everybody else evicted' : '';
  const message = `${target.name} ran out of GPU memory${again}: ${event.message}`;
  const outcome = { end: 'failed', code: 'gpu_out_of_memory', message } as const;
  endJob(step, job, outcome, false);
  step.commands.push({ type: 'AbortJob', jobId: job.id, outcome });
}

/** Also for an answer that could not be held back: the size was wrong all the same. */
export function countOutOfMemory(step: Step, job: JobRecord, message: string): TargetState {
  const { state } = step;
  const target = targetStateOf(state, { consumer: job.consumer, model: job.model });
  state.outOfMemories += 1;
  step.commands.push({
    type: 'RecordFact',
    fact: { type: 'out_of_memory', job: job.id, target: target.target, message },
  });
  if (policyOf(state.settings.policy).makesRoom) raise(step, target, job.roomMib);
  // It may have given up other models too.
  const consumer = state.consumers.get(job.consumer);
  if (consumer?.settings.swaps === 'models' && canBeAsked(consumer)) askConsumer(step, consumer);
  return target;
}

/** `roomMib`: what it had was not enough, the reserve included. Never so high that it could not be tried any more. */
function raise(step: Step, target: TargetState, roomMib: number | null): void {
  const { state } = step;
  const { runMib } = footprintOf(state, target);
  const had = roomMib === null ? 0 : roomMib + state.settings.reserveMib;
  const most = Math.max(runMib, mostRunMib(state, target) ?? Infinity);
  const raised = Math.min(most, Math.max(Math.ceil(runMib * RAISED_BY), had));
  const known = learnedOf(state, target);
  state.learned.set(target.name, { ...known, run: raisedMib(known.run, raised) });
  // Its runs are watched closely again until its true size was seen.
  target.runsObserved = 0;
  saveMemory(step);
}

/** Keeps its place before all others, gives the card back while room is made. */
function tryAgain(step: Step, job: JobRecord, target: TargetState): void {
  const { state, now } = step;
  job.triedAgain = true;
  job.phase = 'waiting';
  // It had its grant: `queue.timeout` is about the wait for the next one.
  job.queuedAt = now;
  job.firstByteAt = null;
  state.grants.delete(job.id);
  const consumer = state.consumers.get(job.consumer);
  if (consumer !== undefined) {
    consumer.grants.delete(job.id);
    consumer.lastGrantOverAt = now;
    consumer.lastUsedAt = now;
  }
  dropRunClaims(state, job.id);
  noteMemoryChange(state, now);
  failLoadingOf(step, target);
  target.peak = NO_AMOUNTS;
  state.queue.pushFirst(job);
  state.turn = { jobId: job.id, takenAt: now };
}

function failLoadingOf(step: Step, target: TargetState): void {
  if (target.residency !== 'loading') return;
  releaseLoadClaimsByReading(step.state, target, step.now);
  move(step, target, 'unknown', { code: 'failed', message: 'it ran out of memory while it loaded' });
}
