/**
 * A consumer ran out of memory in spite of everything: its size was wrong. It is raised at once, everybody else who
 * can leave does, and the job is tried once more if nothing of it went out and its body can be sent again.
 */
import { dropRunClaims, releaseLoadClaimsByReading } from './claims.js';
import type { EventOf } from './events.js';
import { askConsumer, endJob, type Step } from './jobs.js';
import { noteMemoryChange } from './ledger.js';
import { policyOf } from './policies/registry.js';
import { raiseRun } from './raising.js';
import { move, targetStateOf } from './residency.js';
import { canBeAsked } from './startable.js';
import { type JobRecord, NO_AMOUNTS, type TargetState } from './state.js';

export function seeOutOfMemory(step: Step, event: EventOf<'OutOfMemorySeen'>): void {
  const { state } = step;
  const job = state.jobs.get(event.jobId);
  if (job === undefined || job.phase !== 'running') return;
  // Of a consumer that left the configuration nothing is granted any more.
  const triesAgain = event.canRetry && !job.triedAgain && state.consumers.has(job.consumer);
  const target = countOutOfMemory(step, job, event.message, triesAgain);
  if (!policyOf(state.settings.policy).makesRoom) {
    failLoadingOf(step, target);
    step.commands.push({ type: 'PassAnswer', jobId: job.id });
    return;
  }
  if (triesAgain) {
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
export function countOutOfMemory(step: Step, job: JobRecord, message: string, triesAgain: boolean): TargetState {
  const { state } = step;
  const target = targetStateOf(state, { consumer: job.consumer, model: job.model });
  state.outOfMemories += 1;
  step.commands.push({
    type: 'RecordFact',
    fact: { type: 'out_of_memory', job: job.id, target: target.target, message },
  });
  if (policyOf(state.settings.policy).makesRoom) {
    raiseRun(step, target, job.roomMib);
    // No second try with everybody else evicted will show what it takes.
    if (!triesAgain && !job.triedAgain) raiseRun(step, target, null);
  }
  // It may have given up other models too.
  const consumer = state.consumers.get(job.consumer);
  if (consumer?.settings.swaps === 'models' && canBeAsked(consumer)) askConsumer(step, consumer);
  return target;
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
