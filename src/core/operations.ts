/**
 * The one thing under way on the cards: a load, an unload, the start or stop of a unit. One at a time, because memory
 * during it is not knowable. Each has a bound; an unload is over when a reading shows it, whatever the consumer says.
 *
 * The ladder of an unload: ask; wait for the reading; ask once more; stop the unit, if there is one; stuck.
 */
import { claimLoad, dropLoadClaims, releaseLoadClaimsByReading } from './claims.js';
import type { OperatorResult } from './commands.js';
import type { TargetReason } from './facts.js';
import { footprintOf, isOnlyResidue } from './footprints.js';
import type { Step } from './jobs.js';
import { observedMib, observedMs } from './learning.js';
import { cardReading, currentReading, freeOf, headroomMib, heldByProcesses, noteMemoryChange } from './ledger.js';
import { saveMemory } from './remembering.js';
import { move, noteLoadFailure, targetsOf } from './residency.js';
import type { BrokerState, ConsumerState, TargetState } from './state.js';
import type { ConsumerId, GpuReading, JobId, MonotonicMs, Target } from './vocabulary.js';

export interface UnloadOperation {
  readonly kind: 'unload';
  readonly target: string;
  readonly consumer: ConsumerId;
  readonly startedAt: MonotonicMs;
  readonly jobId: JobId | null;
  readonly request: number | null;
  rung: 'ask' | 'ask_again' | 'stop_unit';
  /** The consumer said done (or the unit is stopped): from here on a reading is asked for again and again. */
  saidAt: MonotonicMs | null;
  deadline: MonotonicMs;
  nextMeasureAt: MonotonicMs;
  readonly expectedMib: number;
  readonly beforeHeldMib: number | null;
  readonly beforeFreeMib: number | null;
  /** MiB by card that whoever waits needs; without figures by process, room for it is proof enough. */
  readonly need: ReadonlyMap<number, number>;
  readonly onlyTarget: boolean;
}

export interface LoadOperation {
  readonly kind: 'load' | 'start_unit';
  readonly target: string;
  readonly consumer: ConsumerId;
  readonly startedAt: MonotonicMs;
  readonly jobId: JobId | null;
  readonly request: number | null;
  /** The consumer said ready: resident with the first reading that began after. */
  saidAt: MonotonicMs | null;
  readonly deadline: MonotonicMs;
}

export type Operation = UnloadOperation | LoadOperation;

const MEASURE_QUICKLY_FOR_MS = 2000;
const MEASURE_PAUSE_MS = 30;
const MEASURE_SLOWLY_PAUSE_MS = 250;
/** Without any reading an unload counts so long after the consumer said so. */
const BELIEVED_AFTER_MS = 2000;
const BACK_SHARE = 0.8;
const STUCK_RETRY_MS = [5_000, 15_000, 45_000] as const;
/** Past its own time-out, for the answer of whoever carries the command out. */
const GRACE_MS = 5000;

interface Asker {
  readonly jobId: JobId | null;
  readonly request: number | null;
}

export function startUnload(
  step: Step,
  target: TargetState,
  consumer: ConsumerState,
  asker: Asker,
  need: ReadonlyMap<number, number>,
  reason: TargetReason,
): void {
  const { state, now } = step;
  const footprint = footprintOf(state, target);
  const others = targetsOf(state, consumer).filter((one) => one !== target && one.residency !== 'absent');
  move(step, target, 'evicting', reason);
  const operation: UnloadOperation = {
    kind: 'unload',
    target: target.name,
    consumer: consumer.id,
    startedAt: now,
    ...asker,
    rung: 'ask',
    saidAt: null,
    deadline: now,
    nextMeasureAt: now,
    expectedMib: footprint.residentMib,
    beforeHeldMib: heldByProcesses(state, consumer.id),
    beforeFreeMib: freeOn(state, consumer),
    need,
    onlyTarget: others.length === 0,
  };
  state.operation = operation;
  if (consumer.settings.unloadsByCall) ask(step, operation, consumer, 'ask');
  else stopUnit(step, operation, consumer);
}

function freeOn(state: BrokerState, consumer: ConsumerState): number | null {
  let sum = 0;
  for (const card of consumer.settings.cards) {
    const reading = cardReading(state, card);
    const free = reading === null ? null : freeOf(reading);
    if (free === null) return null;
    sum += free;
  }
  return sum;
}

function ask(step: Step, operation: UnloadOperation, consumer: ConsumerState, rung: 'ask' | 'ask_again'): void {
  const target = step.state.targets.get(operation.target);
  if (target === undefined) return;
  const timeoutMs = consumer.settings.unloadTimeoutMs;
  operation.rung = rung;
  operation.saidAt = null;
  operation.deadline = step.now + timeoutMs;
  step.commands.push({ type: 'StartUnload', target: target.target, timeoutMs });
}

/** The parked list is written before the unit is stopped: a daemon killed in between must know whom it stopped. */
function stopUnit(step: Step, operation: UnloadOperation, consumer: ConsumerState): void {
  const timeoutMs = Math.max(consumer.settings.unloadTimeoutMs, 15_000);
  operation.rung = 'stop_unit';
  operation.saidAt = null;
  operation.deadline = step.now + timeoutMs + GRACE_MS;
  consumer.parked = true;
  consumer.health = 'unknown';
  consumer.healthError = null;
  saveMemory(step);
  step.commands.push({ type: 'StopUnit', consumer: consumer.id, timeoutMs });
}

export function unloadEnded(step: Step, target: Target, error: string | null): void {
  const { operation } = step.state;
  if (operation?.kind !== 'unload' || operation.consumer !== target.consumer || operation.rung === 'stop_unit') return;
  if (operation.saidAt !== null) return;
  operation.saidAt = step.now;
  operation.nextMeasureAt = step.now;
  // It would not: what it says is as little proof as a yes, but there is nothing to wait long for.
  if (error !== null) operation.deadline = Math.min(operation.deadline, step.now + MEASURE_QUICKLY_FOR_MS);
}

export function unitStopped(step: Step, id: ConsumerId, error: string | null): void {
  const { operation } = step.state;
  const consumer = step.state.consumers.get(id);
  if (operation?.kind !== 'unload' || operation.consumer !== id || operation.rung !== 'stop_unit') return;
  if (error !== null) {
    if (consumer !== undefined) consumer.parked = false;
    saveMemory(step);
    giveUp(step, operation, `its unit could not be stopped: ${error}`);
    return;
  }
  operation.saidAt = step.now;
  operation.nextMeasureAt = step.now;
}

/** Called in every step: what the time or a new reading decides about the operation. */
export function advanceOperation(step: Step, newReading: GpuReading | null): void {
  const { operation } = step.state;
  if (operation === null) return;
  if (operation.kind === 'unload') advanceUnload(step, operation, newReading);
  else advanceLoad(step, operation, newReading);
}

function advanceUnload(step: Step, operation: UnloadOperation, newReading: GpuReading | null): void {
  const { state, now } = step;
  if (newReading !== null && newReading.startedAt >= operation.startedAt) {
    if (isBack(state, operation)) {
      finishUnload(step, operation, 'reading');
      return;
    }
    const quickly = now - (operation.saidAt ?? now) < MEASURE_QUICKLY_FOR_MS;
    operation.nextMeasureAt = now + (quickly ? MEASURE_PAUSE_MS : MEASURE_SLOWLY_PAUSE_MS);
  }
  const blind = currentReading(state) === null && state.readingError !== null;
  if (blind && operation.saidAt !== null && now >= operation.saidAt + BELIEVED_AFTER_MS) {
    finishUnload(step, operation, 'said');
    return;
  }
  if (now >= operation.deadline) {
    nextRung(step, operation);
    return;
  }
  if (operation.saidAt !== null && !state.measuring && now >= operation.nextMeasureAt) measure(step);
}

export function measure(step: Step): void {
  if (step.state.measuring) return;
  step.state.measuring = true;
  step.commands.push({ type: 'MeasureCard' });
}

/** Whether the newest reading shows the victim's memory back, however it came back. */
function isBack(state: BrokerState, operation: UnloadOperation): boolean {
  const held = heldByProcesses(state, operation.consumer);
  if (held !== null) {
    if (operation.rung === 'stop_unit') return held === 0;
    if (operation.onlyTarget && isOnlyResidue(state, operation.consumer, held)) return true;
    const before = operation.beforeHeldMib;
    return before !== null && before - held >= BACK_SHARE * operation.expectedMib;
  }
  if (operation.rung === 'stop_unit' && operation.saidAt === null) return false;
  if (operation.saidAt === null) return false;
  const consumer = state.consumers.get(operation.consumer);
  const free = consumer === undefined ? null : freeOn(state, consumer);
  if (free !== null && operation.beforeFreeMib !== null) {
    if (free - operation.beforeFreeMib >= BACK_SHARE * operation.expectedMib) return true;
  }
  if (operation.need.size === 0) return false;
  return [...operation.need].every(([card, mib]) => (headroomMib(state, card) ?? -1) >= mib);
}

function finishUnload(step: Step, operation: UnloadOperation, how: 'reading' | 'said'): void {
  const { state, now } = step;
  const target = state.targets.get(operation.target);
  const consumer = state.consumers.get(operation.consumer);
  state.operation = null;
  noteMemoryChange(state, how === 'reading' ? (state.reading?.startedAt ?? now) : now);
  if (target === undefined || consumer === undefined) return;
  const tookMs = now - operation.startedAt;
  const held = heldByProcesses(state, consumer.id);
  const freed = operation.beforeHeldMib === null || held === null ? null : operation.beforeHeldMib - held;
  state.evictions += 1;
  learnUnload(state, operation, target, held, tookMs);
  const gone = operation.rung === 'stop_unit' ? targetsOf(state, consumer) : [target];
  for (const one of gone) {
    move(step, one, consumer.parked ? 'parked' : 'absent', { code: 'freed', mib: freed, tookMs, how });
  }
  saveMemory(step);
  answer(step, operation.request, {
    ok: true,
    message: `${target.name} left the card${freed === null ? '' : `: ${Math.round(freed)} MiB are free again`}`,
  });
}

function learnUnload(
  state: BrokerState,
  operation: UnloadOperation,
  target: TargetState,
  held: number | null,
  tookMs: number,
): void {
  const known = state.learned.get(target.name);
  state.learned.set(target.name, {
    resident: known?.resident ?? null,
    run: known?.run ?? null,
    loadMs: known?.loadMs ?? null,
    unloadMs: observedMs(known?.unloadMs ?? null, tookMs),
  });
  if (held === null || !operation.onlyTarget || operation.rung === 'stop_unit') return;
  if (held > BACK_SHARE * operation.expectedMib) return;
  state.residues.set(operation.consumer, observedMib(state.residues.get(operation.consumer) ?? null, held));
}

function nextRung(step: Step, operation: UnloadOperation): void {
  const consumer = step.state.consumers.get(operation.consumer);
  if (consumer === undefined) {
    step.state.operation = null;
    return;
  }
  if (operation.rung === 'ask') ask(step, operation, consumer, 'ask_again');
  else if (operation.rung === 'ask_again' && consumer.settings.unit !== null) stopUnit(step, operation, consumer);
  else
    giveUp(
      step,
      operation,
      `no reading shows its memory back within ${Math.round((step.now - operation.startedAt) / 1000)} s`,
    );
}

function giveUp(step: Step, operation: UnloadOperation, message: string): void {
  const { state, now } = step;
  const target = state.targets.get(operation.target);
  state.operation = null;
  if (target === undefined) return;
  const tries = target.stuckTries;
  move(step, target, 'stuck', { code: 'failed', message });
  target.stuckTries = tries + 1;
  target.retryAt = now + (STUCK_RETRY_MS[Math.min(tries, STUCK_RETRY_MS.length - 1)] ?? 45_000);
  answer(step, operation.request, { ok: false, code: 'evict_failed', message: `${target.name} is stuck: ${message}` });
}

export function answer(step: Step, request: number | null, result: OperatorResult): void {
  if (request !== null) step.commands.push({ type: 'AnswerOperator', request, result });
}

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
  target.beforeLoadMib = heldByProcesses(state, consumer.id);
  claimLoad(state, consumer, target, asker.jobId);
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
  answer(step, operation.request, {
    ok: false,
    code: 'load_failed',
    message: `${target.name} did not load: ${message}`,
  });
}

function advanceLoad(step: Step, operation: LoadOperation, newReading: GpuReading | null): void {
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

export function operationWakeAt(state: BrokerState): MonotonicMs | null {
  const { operation } = state;
  if (operation === null) return null;
  if (operation.kind !== 'unload') return operation.saidAt === null ? operation.deadline : null;
  if (operation.saidAt === null) return operation.deadline;
  const believed = state.readingError === null ? Infinity : operation.saidAt + BELIEVED_AFTER_MS;
  const measureAt = state.measuring ? Infinity : operation.nextMeasureAt;
  return Math.min(operation.deadline, measureAt, believed);
}
