/**
 * What fits now. Headroom is what the newest reading shows as free, less the claims that it does not show yet, less
 * the reserve. Without a reading the ledger works from the last known total and the footprints. Reads only.
 */
import { cardTotalMib, footprintOf, shareMib, withoutResidueMib } from './footprints.js';
import { holdsMemory, targetsOf } from './residency.js';
import {
  type Amounts,
  type BrokerState,
  type Claim,
  type ConsumerState,
  NO_AMOUNTS,
  type TargetState,
} from './state.js';
import type { CardReading, ConsumerId, GpuReading, MonotonicMs } from './vocabulary.js';

/** An older reading decides nothing. */
export const READING_LIFE_MS = 5000;
/** An empty process list is believed only on a card that is (nearly) empty: in a container it is always empty. */
const EMPTY_CARD_MIB = 256;

/** The newest reading, if it is young enough to decide by. */
export function currentReading(state: BrokerState) {
  const { reading } = state;
  if (reading === null || state.now - reading.sampledAt > READING_LIFE_MS) return null;
  return reading;
}

/** Whether a reading exists that shows everything of ours that changed. */
export function hasFreshReading(state: BrokerState): boolean {
  const reading = currentReading(state);
  return reading !== null && reading.startedAt >= state.memoryChangedAt;
}

/** Whether asking for a reading could still teach something before the next decision. */
export function shouldMeasure(state: BrokerState): boolean {
  if (hasFreshReading(state)) return false;
  const failedAt = state.measureFailedAt;
  return failedAt === null || failedAt < state.memoryChangedAt || state.now - failedAt > READING_LIFE_MS;
}

/** null: the tool did not say, or it said what cannot be. */
export function freeOf(card: CardReading): number | null {
  const { totalMib, usedMib } = card;
  if (card.freeMib !== null) return totalMib !== null && card.freeMib > totalMib ? null : card.freeMib;
  if (totalMib === null || usedMib === null || usedMib > totalMib) return null;
  return totalMib - usedMib - (card.driverReservedMib ?? 0);
}

export function cardReading(state: BrokerState, card: number): CardReading | null {
  return currentReading(state)?.cards.find((reading) => reading.index === card) ?? null;
}

/** What the consumer's processes hold on a card (or on all of its cards); null: the list does not say. */
export function heldByProcesses(state: BrokerState, id: ConsumerId, card?: number): number | null {
  const reading = currentReading(state);
  const processes = reading?.processes ?? null;
  if (reading === null || processes === null || !isBelievable(state)) return null;
  const own = processes.filter((use) => use.consumer === id && (card === undefined || use.card === card));
  if (own.some((use) => use.usedMib === null)) return null;
  if (own.length === 0 && state.consumers.get(id)?.everAttributed !== true) return null;
  return own.reduce((sum, use) => sum + (use.usedMib ?? 0), 0);
}

/** What is used on its cards, all together; null: not known of each. */
export function usedOnCards(reading: GpuReading, consumer: ConsumerState): number | null {
  let sum = 0;
  for (const card of reading.cards) {
    if (!consumer.settings.cards.includes(card.index)) continue;
    if (card.usedMib === null) return null;
    sum += card.usedMib;
  }
  return sum;
}

/** What there is before a load, by a reading that shows everything of ours. Of unknown state it may be loaded already. */
export function amountsBeforeLoad(state: BrokerState, consumer: ConsumerState, target: TargetState): Amounts {
  const { reading } = state;
  const isGone = target.residency === 'absent' || target.residency === 'parked';
  if (reading === null || !isGone || !hasFreshReading(state)) return NO_AMOUNTS;
  // Whoever is in no list that can be believed holds nothing yet.
  const processMib = heldByProcesses(state, consumer.id) ?? (isBelievable(state) ? 0 : null);
  return { processMib, cardsMib: usedOnCards(reading, consumer) };
}

/** Whether there is a list of processes to go by: an empty one on a card that is used says nothing about anybody. */
export function isBelievable(state: BrokerState): boolean {
  const reading = currentReading(state);
  if (reading?.processes == null) return false;
  if (reading.processes.length > 0) return true;
  return reading.cards.every((card) => card.usedMib !== null && card.usedMib < EMPTY_CARD_MIB);
}

/** What no consumer of ours holds on a card; null: not known. */
export function foreignMib(state: BrokerState, card: number): number | null {
  const reading = cardReading(state, card);
  const processes = currentReading(state)?.processes ?? null;
  if (reading?.usedMib == null) return null;
  if (processes === null || !isBelievable(state)) return null;
  const ours = processes.filter((use) => use.card === card && use.consumer !== null);
  if (ours.some((use) => use.usedMib === null)) return null;
  return Math.max(0, reading.usedMib - ours.reduce((sum, use) => sum + (use.usedMib ?? 0), 0));
}

/** Of a run that is over: what its allocator may have kept. */
export function isLeftOfRun(claim: Claim): boolean {
  return claim.kind === 'run' && claim.endsWithReadingAfter !== null;
}

/** The part of the claims on a card that the reading does not show yet. `asker`: its own runs left that for its next. */
export function unseenClaimsMib(state: BrokerState, card: number, asker?: TargetState): number {
  const byConsumer = new Map<ConsumerId, { claimed: number; base: number | null }>();
  for (const claim of state.claims) {
    if (claim.card !== card || (claim.target === asker?.name && isLeftOfRun(claim))) continue;
    const sum = byConsumer.get(claim.consumer);
    const base = lower(sum?.base ?? claim.baseMib, claim.baseMib);
    byConsumer.set(claim.consumer, { claimed: (sum?.claimed ?? 0) + claim.mib, base });
  }
  let unseen = 0;
  for (const [id, { claimed, base }] of byConsumer) {
    const held = heldByProcesses(state, id, card);
    const grown = held === null || base === null ? 0 : held - base;
    unseen += claimed - Math.min(claimed, Math.max(0, grown));
  }
  return unseen;
}

function lower(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.min(a, b);
}

/** Foreign work may still grow: what a run of that consumer adds is set aside for it. */
function foreignRunsMib(state: BrokerState, card: number): number {
  let mib = 0;
  for (const consumer of state.consumers.values()) {
    if (!isForeignBusy(consumer) || !consumer.settings.cards.includes(card)) continue;
    mib += Math.max(0, ...targetsOf(state, consumer).map((target) => mayGrowMib(state, consumer, target, card)));
  }
  return mib;
}

/** By as much as a run takes; where the consumer is one target, by what it does not hold yet. */
function mayGrowMib(state: BrokerState, consumer: ConsumerState, target: TargetState, card: number): number {
  const { residentMib, runMib } = footprintOf(state, target);
  const run = shareMib(consumer, runMib);
  if (consumer.settings.swaps === 'models') return holdsMemory(target) ? run : 0;
  const held = heldByProcesses(state, consumer.id, card);
  const whole = shareMib(consumer, residentMib + runMib);
  if (held === null) return holdsMemory(target) ? run : whole;
  return Math.max(0, whole - held);
}

export function isForeignBusy(consumer: ConsumerState): boolean {
  return (consumer.foreignWork ?? 0) > 0;
}

/** MiB that fit on the card now (negative: over-committed), for `asker` where one asks; null: neither a reading nor a total. */
export function headroomMib(state: BrokerState, card: number, asker?: TargetState): number | null {
  const reading = cardReading(state, card);
  const free = reading === null ? null : freeOf(reading);
  const base = free ?? ledgerFreeMib(state, card);
  if (base === null) return null;
  return base - unseenClaimsMib(state, card, asker) - foreignRunsMib(state, card) - state.settings.reserveMib;
}

/** The total less the footprints of all that is in VRAM as far as we know. */
function ledgerFreeMib(state: BrokerState, card: number): number | null {
  const total = cardTotalMib(state, card);
  if (total === null) return null;
  let held = 0;
  for (const target of state.targets.values()) {
    const consumer = state.consumers.get(target.target.consumer);
    if (!holdsMemory(target) || !consumer?.settings.cards.includes(card)) continue;
    held += shareMib(consumer, footprintOf(state, target).residentMib);
  }
  return total - held;
}

/** What evicting the target would give back on a card, as far as is known. */
export function yieldMib(state: BrokerState, targetName: string, card: number): number {
  const target = state.targets.get(targetName);
  const consumer = target === undefined ? undefined : state.consumers.get(target.target.consumer);
  if (target === undefined || consumer === undefined || !consumer.settings.cards.includes(card)) return 0;
  const share = shareMib(consumer, footprintOf(state, target).residentMib);
  if (consumer.settings.swaps === 'models') return share;
  const held = heldByProcesses(state, consumer.id, card);
  if (held === null) return target.residency === 'unknown' && currentReading(state) === null ? 0 : share;
  if (!consumer.settings.unloadsByCall) return held;
  const heldOnAll = held * consumer.settings.cards.length;
  return shareMib(consumer, withoutResidueMib(state, consumer.id, heldOnAll));
}

/** The last moment of anything of ours that a reading must have begun after. */
export function noteMemoryChange(state: BrokerState, now: MonotonicMs): void {
  state.memoryChangedAt = Math.max(state.memoryChangedAt, now);
}
