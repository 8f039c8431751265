/** Whether an unload has happened, by the newest reading; and from when on its word has to do because there is none. */
import { footprintOf, isOnlyResidue } from './footprints.js';
import { cardReading, freeOf, headroomMib, heldByProcesses, READING_LIFE_MS } from './ledger.js';
import type { UnloadOperation } from './operations.js';
import { holdsMemory, targetsOf } from './residency.js';
import type { BrokerState, ConsumerState, TargetState } from './state.js';
import type { MonotonicMs } from './vocabulary.js';

/** Without any reading an unload counts so long after the consumer said so. */
const BELIEVED_AFTER_MS = 2000;
const BACK_SHARE = 0.8;

/** Whether the newest reading shows the victim's memory back, however it came back. */
export function isBack(state: BrokerState, operation: UnloadOperation): boolean {
  const held = heldByProcesses(state, operation.consumer);
  if (held !== null) {
    if (operation.rung === 'stop_unit') return held === 0;
    if (operation.onlyTarget && isOnlyResidue(state, operation.consumer, held)) return true;
    const before = operation.beforeHeldMib;
    if (before !== null && before - held >= BACK_SHARE * operation.expectedMib) return true;
    return operation.rung === 'ask_again' && operation.saidAt !== null && wasGoneBefore(state, operation, held);
  }
  return operation.saidAt !== null && (isBackByFree(state, operation) || isNothingToCome(state, operation));
}

/** Nobody knew that it held anything, it says that it holds nothing, and what the card shows has had time to change. */
function isNothingToCome(state: BrokerState, operation: UnloadOperation): boolean {
  if (!operation.unsure || operation.refused || operation.saidAt === null) return false;
  const read = state.reading?.startedAt ?? -1;
  return freeOfConsumer(state, operation) !== null && read >= operation.saidAt + BELIEVED_AFTER_MS;
}

/** A model that had left by itself: what is held is no more than what its neighbours should hold. */
function wasGoneBefore(state: BrokerState, operation: UnloadOperation, heldMib: number): boolean {
  const consumer = state.consumers.get(operation.consumer);
  const target = state.targets.get(operation.target);
  if (operation.onlyTarget || consumer === undefined || target === undefined) return false;
  const others = othersIn(state, consumer, target).filter(holdsMemory);
  const shouldMib = others.reduce((sum, one) => sum + footprintOf(state, one).residentMib, 0);
  return heldMib <= shouldMib + (1 - BACK_SHARE) * operation.expectedMib;
}

function isBackByFree(state: BrokerState, operation: UnloadOperation): boolean {
  const free = freeOfConsumer(state, operation);
  if (free !== null && operation.beforeFreeMib !== null) {
    if (free - operation.beforeFreeMib >= BACK_SHARE * operation.expectedMib) return true;
  }
  if (operation.need.size === 0) return false;
  return [...operation.need].every(([card, mib]) => (headroomMib(state, card) ?? -1) >= mib);
}

function freeOfConsumer(state: BrokerState, operation: UnloadOperation): number | null {
  const consumer = state.consumers.get(operation.consumer);
  return consumer === undefined ? null : freeOn(state, consumer);
}

export function freeOn(state: BrokerState, consumer: ConsumerState): number | null {
  let sum = 0;
  for (const card of consumer.settings.cards) {
    const reading = cardReading(state, card);
    const free = reading === null ? null : freeOf(reading);
    if (free === null) return null;
    sum += free;
  }
  return sum;
}

/** Its neighbours in the same consumer that hold memory too, or may. */
export function othersIn(state: BrokerState, consumer: ConsumerState, target: TargetState): TargetState[] {
  return targetsOf(state, consumer).filter((one) => one !== target && one.residency !== 'absent');
}

/** Without figures by process: its process has ended, and a reading that began after that is the truth, however little came back. */
export function isEnded(state: BrokerState, operation: UnloadOperation): boolean {
  if (operation.rung !== 'stop_unit' || operation.saidAt === null) return false;
  return heldByProcesses(state, operation.consumer) === null && (state.reading?.startedAt ?? -1) >= operation.saidAt;
}

/** From when on its word has to do, because no reading that says anything of the cards is young enough. */
export function believedAt(state: BrokerState, operation: UnloadOperation): MonotonicMs {
  // A no is no word to believe, but where there is nobody left to say anything.
  if (operation.refused && state.consumers.get(operation.consumer)?.health !== 'down') return Infinity;
  return Math.max((operation.saidAt ?? Infinity) + BELIEVED_AFTER_MS, state.figuresAt + READING_LIFE_MS + 1);
}
