/**
 * How a target leaves. An unload is over when a reading shows it, whatever the consumer says.
 *
 * The ladder: ask; wait for the reading; ask once more; stop the unit, if there is one; stuck.
 */
import type { TargetReason } from './facts.js';
import { footprintOf, learnedOf, withoutResidueMib } from './footprints.js';
import { askConsumer, type Step } from './jobs.js';
import { observedMib, observedMs } from './learning.js';
import { heldByProcesses, isForeignBusy, noteMemoryChange } from './ledger.js';
import { type Asker, answer, GRACE_MS, isInUse, measure, type UnloadOperation } from './operations.js';
import { saveMemory } from './remembering.js';
import { holdsMemory, isPinned, move, targetsOf, voidMeasures } from './residency.js';
import type { BrokerState, ConsumerState, TargetState } from './state.js';
import { believedAt, freeOn, isBack, isEnded, othersIn } from './verification.js';
import type { ConsumerId, GpuReading, MonotonicMs, Target } from './vocabulary.js';

const MEASURE_QUICKLY_FOR_MS = 2000;
const MEASURE_PAUSE_MS = 30;
const MEASURE_SLOWLY_PAUSE_MS = 250;
const BACK_SHARE = 0.8;
const STUCK_RETRY_MS = [5_000, 15_000, 45_000] as const;
const STOP_TIMEOUT_MS = 15_000;

export function startUnload(
  step: Step,
  target: TargetState,
  consumer: ConsumerState,
  asker: Asker,
  need: ReadonlyMap<number, number>,
  reason: TargetReason,
): void {
  const { state, now } = step;
  const others = othersIn(state, consumer, target);
  const beforeHeldMib = heldByProcesses(state, consumer.id);
  const unsure = beforeHeldMib === null && (target.residency === 'unknown' || target.stuckTries > 0);
  voidMeasures(state, target);
  move(step, target, 'evicting', reason);
  const operation: UnloadOperation = {
    kind: 'unload',
    target: target.name,
    consumer: consumer.id,
    startedAt: now,
    ...asker,
    rung: 'ask',
    askedAt: now,
    saidAt: null,
    deadline: now,
    nextMeasureAt: now,
    expectedMib: expectedBack(state, consumer, target, others.length === 0),
    beforeHeldMib,
    beforeFreeMib: freeOn(state, consumer),
    need,
    onlyTarget: others.length === 0,
    unsure,
    refused: false,
  };
  state.operation = operation;
  if (consumer.settings.unloadsByCall) ask(step, operation, consumer, 'ask');
  else stopUnit(step, operation, consumer);
}

/** Its process keeps its context, but where each model has a process of its own, and where the unit is stopped. */
function expectedBack(state: BrokerState, consumer: ConsumerState, target: TargetState, onlyTarget: boolean): number {
  const { residentMib } = footprintOf(state, target);
  if (!onlyTarget || !consumer.settings.unloadsByCall || consumer.settings.swaps === 'models') return residentMib;
  return withoutResidueMib(state, consumer.id, residentMib);
}

function ask(step: Step, operation: UnloadOperation, consumer: ConsumerState, rung: 'ask' | 'ask_again'): void {
  const target = step.state.targets.get(operation.target);
  if (target === undefined) return;
  const timeoutMs = consumer.settings.unloadTimeoutMs;
  operation.rung = rung;
  operation.askedAt = step.now;
  operation.saidAt = null;
  operation.refused = false;
  operation.deadline = step.now + timeoutMs + GRACE_MS;
  step.commands.push({ type: 'StartUnload', target: target.target, timeoutMs });
  // It may have begun to work for somebody else: then its unit must not be stopped.
  if (rung === 'ask_again' && consumer.settings.asksForeignWork) askConsumer(step, consumer);
}

/** The parked list is written before the unit is stopped: a daemon killed in between must know whom it stopped. */
function stopUnit(step: Step, operation: UnloadOperation, consumer: ConsumerState): void {
  const timeoutMs = Math.max(consumer.settings.unloadTimeoutMs, STOP_TIMEOUT_MS);
  operation.rung = 'stop_unit';
  operation.askedAt = step.now;
  operation.saidAt = null;
  operation.deadline = step.now + timeoutMs + GRACE_MS;
  consumer.parked = true;
  consumer.parkedAt = operation.deadline;
  consumer.health = 'unknown';
  consumer.healthError = null;
  saveMemory(step);
  step.commands.push({ type: 'StopUnit', consumer: consumer.id, timeoutMs });
}

export function unloadEnded(step: Step, target: Target, error: string | null): void {
  const { operation } = step.state;
  if (operation?.kind !== 'unload' || operation.consumer !== target.consumer || operation.rung === 'stop_unit') return;
  if (operation.saidAt !== null) return;
  const consumer = step.state.consumers.get(operation.consumer);
  operation.saidAt = step.now;
  operation.refused = error !== null;
  operation.nextMeasureAt = step.now;
  const soon = step.now + MEASURE_QUICKLY_FOR_MS;
  // It would not: what it says is as little proof as a yes, but there is nothing to wait long for.
  const full = operation.askedAt + (consumer?.settings.unloadTimeoutMs ?? 0);
  operation.deadline = error === null ? Math.max(full, soon) : soon;
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

export function advanceUnload(step: Step, operation: UnloadOperation, newReading: GpuReading | null): void {
  const { state, now } = step;
  if (newReading !== null && newReading.startedAt >= operation.startedAt) {
    if (isBack(state, operation)) {
      finishUnload(step, operation, 'reading');
      return;
    }
    operation.nextMeasureAt = now + pauseMs(operation, now);
  }
  if (operation.saidAt !== null && now >= believedAt(state, operation)) {
    finishUnload(step, operation, 'said');
    return;
  }
  if (now >= operation.deadline) {
    nextRung(step, operation);
    return;
  }
  if (operation.saidAt === null || state.measuring || now < operation.nextMeasureAt) return;
  // Also for a measurement that fails: the next one waits as long.
  operation.nextMeasureAt = now + pauseMs(operation, now);
  measure(step);
}

function pauseMs(operation: UnloadOperation, now: MonotonicMs): number {
  const quickly = now - (operation.saidAt ?? now) < MEASURE_QUICKLY_FOR_MS;
  return quickly ? MEASURE_PAUSE_MS : MEASURE_SLOWLY_PAUSE_MS;
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
  learnUnload(state, target, tookMs);
  // Only where a reading shows that it left, what is still there is what it keeps.
  if (how === 'reading' && held !== null && freed !== null) learnResidue(state, operation, held, freed);
  if (consumer.parked) consumer.parkedAt = now;
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

function learnUnload(state: BrokerState, target: TargetState, tookMs: number): void {
  const known = learnedOf(state, target);
  state.learned.set(target.name, { ...known, unloadMs: observedMs(known.unloadMs, tookMs) });
}

function learnResidue(state: BrokerState, operation: UnloadOperation, heldMib: number, freedMib: number): void {
  if (!operation.onlyTarget || operation.rung === 'stop_unit') return;
  if (freedMib < BACK_SHARE * operation.expectedMib) return;
  state.residues.set(operation.consumer, observedMib(state.residues.get(operation.consumer) ?? null, heldMib));
}

function nextRung(step: Step, operation: UnloadOperation): void {
  const { state, now } = step;
  const consumer = state.consumers.get(operation.consumer);
  if (consumer === undefined) state.operation = null;
  else if (operation.rung !== 'stop_unit' && isInUse(state, consumer)) giveWay(step, operation);
  else if (operation.rung === 'ask') ask(step, operation, consumer, 'ask_again');
  else if (operation.rung === 'ask_again' && mayStop(state, operation, consumer)) stopUnit(step, operation, consumer);
  else if (isEnded(state, operation)) finishUnload(step, operation, 'reading');
  else {
    const waitedS = Math.round((now - operation.startedAt) / 1000);
    const held = isForeignBusy(consumer) ? ' (it works for somebody who did not come through us)' : '';
    giveUp(step, operation, `no reading shows its memory back within ${waitedS} s${held}`);
  }
}

/** Under a policy without the lock somebody was granted meanwhile: whoever needs the room afterwards begins anew. */
function giveWay(step: Step, operation: UnloadOperation): void {
  const { state } = step;
  const target = state.targets.get(operation.target);
  state.operation = null;
  if (target === undefined) return;
  const message = 'a job runs that was granted while it was asked to leave';
  move(step, target, 'unknown', { code: 'failed', message });
  answer(step, operation.request, { ok: false, code: 'evict_failed', message: `${target.name} stays: ${message}` });
}

/** Stopping the unit takes everything that the consumer holds, and breaks off whatever it does. */
function mayStop(state: BrokerState, operation: UnloadOperation, consumer: ConsumerState): boolean {
  if (consumer.settings.unit === null || isForeignBusy(consumer)) return false;
  const neighbours = targetsOf(state, consumer).filter((one) => one.name !== operation.target);
  return !neighbours.some((one) => holdsMemory(one) && isPinned(state, one));
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

export function unloadWakeAt(state: BrokerState, operation: UnloadOperation): MonotonicMs {
  if (operation.saidAt === null) return operation.deadline;
  const measureAt = state.measuring ? Infinity : operation.nextMeasureAt;
  return Math.min(operation.deadline, measureAt, believedAt(state, operation));
}
