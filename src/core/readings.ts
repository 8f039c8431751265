/**
 * What a reading says about the targets: which loads it shows, which memory is gone, what is to be learned. A reading
 * older than the newest is dropped; losing the reading moves nobody.
 */
import { dropAllLeftOfRuns, dropExpiredClaims, dropLoadClaims } from './claims.js';
import { footprintOf, isOnlyResidue, learnedOf } from './footprints.js';
import type { Step } from './jobs.js';
import { LOOKS_ENOUGH, observedMib, observedMs } from './learning.js';
import { freeOf, heldByProcesses, usedOnCards } from './ledger.js';
import { saveMemory } from './remembering.js';
import { consumersOf, move, targetsOf } from './residency.js';
import { type Amounts, type BrokerState, type ConsumerState, NO_AMOUNTS, type TargetState } from './state.js';
import type { GpuReading, MonotonicMs } from './vocabulary.js';

/** Below this share of what a load adds, a target of unknown state is not taken for loaded. */
const LOADED_SHARE = 0.5;
const GONE_SHARE = 0.2;

/** Returns the reading if it was news. */
export function applyReading(step: Step, reading: GpuReading | null, error: string | null): GpuReading | null {
  const { state } = step;
  state.measuring = false;
  state.readingError = error;
  step.commands.push({ type: 'RecordFact', fact: { type: 'gpu', reading, error } });
  if (reading === null) {
    state.measureFailedAt = step.now;
    dropAllLeftOfRuns(state);
    for (const target of targetsOf(state)) showWithoutReading(step, target);
    return null;
  }
  if (state.reading !== null && reading.startedAt < state.reading.startedAt) return null;
  state.reading = reading;
  state.readingSerial += 1;
  if (reading.cards.length > 0 && reading.cards.every((card) => freeOf(card) !== null)) {
    state.figuresAt = reading.sampledAt;
  }
  for (const card of reading.cards) if (card.totalMib !== null) state.totals.set(card.index, card.totalMib);
  for (const use of reading.processes ?? []) {
    const consumer = use.consumer === null ? undefined : state.consumers.get(use.consumer);
    if (consumer !== undefined && (use.usedMib ?? 0) > 0) consumer.everAttributed = true;
  }
  dropExpiredClaims(state, reading.startedAt);
  for (const consumer of consumersOf(state)) showReading(step, consumer, reading);
  return reading;
}

/** No reading can be had: a load counts with its first byte. */
function showWithoutReading(step: Step, target: TargetState): void {
  if (target.residency !== 'loading' || target.loadSeenAt === null) return;
  dropLoadClaims(step.state, target);
  becomeResident(step, target, null);
}

function showReading(step: Step, consumer: ConsumerState, reading: GpuReading): void {
  const seen = amountsOf(step.state, consumer, reading);
  const held = seen.processMib;
  for (const target of targetsOf(step.state, consumer)) {
    if (target.residency === 'loading' && (target.loadSeenAt ?? Infinity) <= reading.startedAt) {
      dropLoadClaims(step.state, target);
      becomeResident(step, target, held);
    }
    watchPeak(step.state, consumer, target, seen, reading.startedAt);
    // First whether it is still there at all: what is left of it must not be learned as its size.
    if (held !== null) believeProcesses(step, consumer, target, held);
    learnIdle(step, consumer, target, seen, reading.startedAt);
  }
}

function becomeResident(step: Step, target: TargetState, held: number | null): void {
  const tookMs =
    target.loadBeganAt === null || target.loadSeenAt === null ? null : target.loadSeenAt - target.loadBeganAt;
  target.failures = 0;
  target.coolUntil = null;
  if (tookMs !== null) {
    const known = learnedOf(step.state, target);
    step.state.learned.set(target.name, { ...known, loadMs: observedMs(known.loadMs, tookMs) });
  }
  learnSmallSize(step.state, target, held);
  move(step, target, 'resident', { code: 'ready', mib: held, tookMs });
}

/** A target no bigger than what others keep after an unload: that this is all of it is known only now, just loaded. */
function learnSmallSize(state: BrokerState, target: TargetState, held: number | null): void {
  const known = learnedOf(state, target);
  if (held === null || held === 0 || footprintOf(state, target).source !== 'assumed') return;
  if (isOnlyResidue(state, target.target.consumer, held)) {
    state.learned.set(target.name, { ...known, resident: observedMib(null, held) });
  }
}

/** The most that was there while the target ran. */
function watchPeak(
  state: BrokerState,
  consumer: ConsumerState,
  target: TargetState,
  seen: Amounts,
  at: MonotonicMs,
): void {
  const running = [...consumer.grants].some((id) => {
    const job = state.grants.get(id);
    return job?.model === target.target.model && (job.grantedAt ?? Infinity) <= at;
  });
  if (!running) return;
  // What was seen of its load says nothing of the run after it.
  if (target.residency === 'resident') target.looks += 1;
  const { processMib, cardsMib } = target.peak;
  target.peak = { processMib: higher(processMib, seen.processMib), cardsMib: higher(cardsMib, seen.cardsMib) };
}

function higher(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}

/** Of cards that others change too, a difference says nothing about this one. */
function amountsOf(state: BrokerState, consumer: ConsumerState, reading: GpuReading): Amounts {
  const othersRun = [...state.grants.values()].some((job) => job.consumer !== consumer.id);
  const cardsMib = othersRun ? null : usedOnCards(reading, consumer);
  return { processMib: heldByProcesses(state, consumer.id), cardsMib };
}

/** What the second shows more than the first, by the one measure that both have; by process where it can be. */
function growth(before: Amounts, after: Amounts): number | null {
  if (after.processMib !== null) return before.processMib === null ? null : after.processMib - before.processMib;
  return before.cardsMib === null || after.cardsMib === null ? null : after.cardsMib - before.cardsMib;
}

/** An idle resident shows its own size, and with it what its last run added. */
function learnIdle(step: Step, consumer: ConsumerState, target: TargetState, seen: Amounts, at: MonotonicMs): void {
  const { state } = step;
  const idle = consumer.grants.size === 0 && at >= (consumer.lastGrantOverAt ?? 0);
  if (target.residency !== 'resident' || !idle || (consumer.foreignWork ?? 0) > 0) return;
  const known = learnedOf(state, target);
  const own = ownMib(consumer, target, seen);
  const added = growth(seen, target.peak);
  let { resident, run } = known;
  if (own !== null && own > 0) resident = observedMib(resident, own);
  if (added !== null) {
    // A declared or assumed figure is where learning starts: one light job must not talk it down.
    const start = run ?? { mib: footprintOf(state, target).runMib, recent: [], below: 0 };
    const seenEnough = target.looks >= LOOKS_ENOUGH || added > start.mib;
    run = seenEnough ? observedMib(start, Math.max(0, added)) : start;
    target.runsObserved += 1;
  } else if (own === null || sameSize(known.resident?.mib, own)) return;
  target.peak = NO_AMOUNTS;
  target.beforeLoad = NO_AMOUNTS;
  state.learned.set(target.name, { ...known, resident, run });
  saveMemory(step);
}

/** The consumer's figure is the target's where it has only one; else (and without a list) what grew since before the load. */
function ownMib(consumer: ConsumerState, target: TargetState, seen: Amounts): number | null {
  if (seen.processMib !== null && consumer.settings.swaps === 'consumer') return seen.processMib;
  return growth(target.beforeLoad, seen);
}

function sameSize(knownMib: number | undefined, seenMib: number): boolean {
  return knownMib !== undefined && Math.abs(knownMib - seenMib) < 1;
}

/** What the process list proves about a consumer that nobody of ours is changing right now. */
function believeProcesses(step: Step, consumer: ConsumerState, target: TargetState, heldMib: number): void {
  const { state } = step;
  if (state.operation?.consumer === consumer.id || consumer.grants.size > 0) return;
  const { residentMib } = footprintOf(state, target);
  const empty = isEmpty(state, consumer, target, heldMib);
  const observed = { code: 'observed', mib: heldMib } as const;
  if (target.residency === 'stuck' && (empty || heldMib < GONE_SHARE * residentMib)) {
    move(step, target, 'absent', { ...observed, how: 'a reading shows its memory gone' });
  } else if (target.residency === 'resident' && empty) {
    move(step, target, 'absent', { ...observed, how: 'its memory is gone: it unloaded by itself or ended' });
  } else if (target.residency === 'unknown' && empty) {
    move(step, target, consumer.parked ? 'parked' : 'absent', { ...observed, how: 'its processes hold nothing' });
  } else if (
    (target.residency === 'unknown' || target.residency === 'absent') &&
    isLoaded(state, consumer, target, heldMib)
  ) {
    move(step, target, 'resident', { ...observed, how: 'its processes hold it' });
  } else if (target.residency === 'absent' && isMoreThanResidue(state, consumer, heldMib)) {
    move(step, target, 'unknown', { ...observed, how: 'its processes hold more than it should keep' });
  }
}

function isMoreThanResidue(state: BrokerState, consumer: ConsumerState, heldMib: number): boolean {
  return consumer.settings.swaps === 'consumer' && !isOnlyResidue(state, consumer.id, heldMib);
}

/** Only residue, or nothing. */
function isEmpty(state: BrokerState, consumer: ConsumerState, target: TargetState, heldMib: number): boolean {
  const { residentMib } = footprintOf(state, target);
  return (
    heldMib === 0 || (isOnlyResidue(state, consumer.id, heldMib) && heldMib < loadedMib(state, consumer, residentMib))
  );
}

/** Of a target whose size nobody ever told, whatever is more than residue is it. */
function isLoaded(state: BrokerState, consumer: ConsumerState, target: TargetState, heldMib: number): boolean {
  const single = consumer.settings.swaps === 'consumer' && target.target.model === null;
  if (!single || consumer.health !== 'up') return false;
  const { residentMib, source } = footprintOf(state, target);
  if (source === 'assumed') return !isOnlyResidue(state, consumer.id, heldMib);
  return heldMib >= loadedMib(state, consumer, residentMib);
}

/** A small target can be less than its process keeps without it. */
function loadedMib(state: BrokerState, consumer: ConsumerState, residentMib: number): number {
  const keptMib = Math.min(residentMib, state.residues.get(consumer.id)?.mib ?? 0);
  return keptMib + LOADED_SHARE * (residentMib - keptMib);
}
