/** How a target comes in by a call or by the start of its unit. (Where a job loads its target, the grant is the load.) */
import { claimLoad, dropLoadClaims, releaseLoadClaimsByReading } from './claims.js';
import type { TargetReason } from './facts.js';
import { endWaitersOf, type Step } from './jobs.js';
import { amountsBeforeLoad, noteMemoryChange } from './ledger.js';
import { type Asker, answer, GRACE_MS, type LoadOperation, measure } from './operations.js';
import { saveMemory } from './remembering.js';
import { move, noteLoadFailure, targetsOf, voidMeasures } from './residency.js';
import type { ConsumerState, TargetState } from './state.js';
import type { ConsumerId, GpuReading, MonotonicMs, Target } from './vocabulary.js';

/** After so many failures in a row those that wait for it hear of it; whoever comes later waits for the next try. */
const LOAD_FAILURES_MAX = 3;

export function startLoad(
  step: Step,
  kind: 'load' | 'start_unit',
  target: TargetState,
  consumer: ConsumerState,
  asker: Asker,
  reason: TargetReason,
): void {
  const { state, now } = step;
  const timeoutMs = consumer.settings.loadTimeoutMs;
  target.beforeLoad = amountsBeforeLoad(state, consumer, target);
  claimLoad(state, consumer, target, asker.jobId);
  voidMeasures(state, target);
  move(step, target, 'loading', reason);
  state.operation = {
    kind,
    target: target.name,
    consumer: consumer.id,
    startedAt: now,
    ...asker,
    saidAt: null,
    deadline: now + timeoutMs + GRACE_MS,
  };
  if (kind === 'load') step.commands.push({ type: 'StartLoad', target: target.target, timeoutMs });
  else step.commands.push({ type: 'StartUnit', consumer: consumer.id, timeoutMs });
}

export function loadEnded(step: Step, target: Target, error: string | null): void {
  const { operation } = step.state;
  if (operation?.kind !== 'load' || operation.consumer !== target.consumer || operation.saidAt !== null) return;
  if (error === null) sayReady(step, operation);
  else failLoad(step, operation, error);
}

export function unitStarted(step: Step, id: ConsumerId, error: string | null): void {
  const { state } = step;
  const { operation } = state;
  const consumer = state.consumers.get(id);
  if (operation?.kind !== 'start_unit' || operation.consumer !== id || consumer === undefined) return;
  if (operation.saidAt !== null) return;
  if (error !== null) {
    failLoad(step, operation, error);
    return;
  }
  consumer.parked = false;
  consumer.health = 'up';
  consumer.healthError = null;
  consumer.checkedAt = step.now;
  saveMemory(step);
  for (const one of targetsOf(state, consumer)) {
    if (one.residency === 'parked')
      move(step, one, 'absent', { code: 'observed', mib: null, how: 'its unit runs again' });
  }
  if (consumer.settings.loads === 'at_start') sayReady(step, operation);
  else endStartOf(step, operation);
}

/** The unit runs, but what was asked for loads by its job or by a call: nothing is in VRAM yet. */
function endStartOf(step: Step, operation: LoadOperation): void {
  const target = step.state.targets.get(operation.target);
  step.state.operation = null;
  if (target === undefined) return;
  dropLoadClaims(step.state, target);
  move(step, target, 'absent', { code: 'observed', mib: null, how: 'its unit runs, nothing is loaded yet' });
}

function sayReady(step: Step, operation: LoadOperation): void {
  const target = step.state.targets.get(operation.target);
  operation.saidAt = step.now;
  noteMemoryChange(step.state, step.now);
  if (target !== undefined) target.loadSeenAt = step.now;
}

function failLoad(step: Step, operation: LoadOperation, message: string): void {
  const { state, now } = step;
  const target = state.targets.get(operation.target);
  const consumer = state.consumers.get(operation.consumer);
  state.operation = null;
  noteMemoryChange(state, now);
  if (target === undefined) return;
  releaseLoadClaimsByReading(state, target, now);
  noteLoadFailure(target, now);
  move(step, target, consumer?.parked ? 'parked' : 'unknown', { code: 'failed', message });
  const text = `${target.name} did not load: ${message}`;
  answer(step, operation.request, { ok: false, code: 'load_failed', message: text });
  if (target.failures < LOAD_FAILURES_MAX) return;
  endWaitersOf(step, target.target, {
    end: 'failed',
    code: 'load_failed',
    message: `${target.name} failed to load ${target.failures} times in a row: ${message}; see the consumer's own log`,
  });
}

export function advanceLoad(step: Step, operation: LoadOperation, newReading: GpuReading | null): void {
  const { state, now } = step;
  const target = state.targets.get(operation.target);
  if (operation.saidAt !== null) {
    // `readings.ts` makes it resident with the reading; without any, its word has to do.
    if (target?.residency !== 'loading') {
      state.operation = null;
      if (target !== undefined) answer(step, operation.request, { ok: true, message: `${target.name} is in VRAM` });
    } else if (newReading === null && !state.measuring) measure(step);
    return;
  }
  if (now >= operation.deadline)
    failLoad(step, operation, `no answer within ${Math.round((now - operation.startedAt) / 1000)} s`);
}

/** Once it said ready, the reading that was asked for wakes it. */
export function loadWakeAt(operation: LoadOperation): MonotonicMs | null {
  return operation.saidAt === null ? operation.deadline : null;
}
