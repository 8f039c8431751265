/** How room is made for a demand that is possible: who leaves, whom to wait for, when to let others go first. */
import { footprintOf } from './footprints.js';
import { currentReading, heldByProcesses, isBelievable, isForeignBusy, shouldMeasure } from './ledger.js';
import { askVerdict, foreignVerdict, isOnCards, mustAsk, type Plan, type Verdict } from './plan.js';
import { byLeastUse, chooseVictims, missingMib } from './policies/vram-lru.js';
import { othersAreTheCause } from './possible.js';
import { consumersOf, holdsMemory, isPinned, targetsOf } from './residency.js';
import type { BrokerState, ConsumerState, TargetState } from './state.js';
import type { Holder, MonotonicMs } from './vocabulary.js';

/** A consumer whose file was read is not parked so soon: the reader may come back for the rest. */
const READ_KEEPS_MS = 15_000;

export function makeRoom(plan: Plan): Verdict | null {
  const { state, demand, need, needMib, freeMib, target } = plan;
  const missing = demand.alone ? need : missingMib(state, need, target);
  const blind = freeMib === null;
  const fits = !demand.alone && !blind && missing.size === 0;
  // A run on what is resident may start by an older reading; a load or an eviction needs one that shows everything.
  if (fits && target.residency === 'resident' && currentReading(state) !== null) return null;
  if (shouldMeasure(state)) {
    return { kind: 'measure', reason: { code: 'measuring', asks: null, since: state.now, needMib, freeMib } };
  }
  if (fits) return null;
  const candidates = candidatesFor(plan);
  if (demand.alone || blind) {
    const first = evictAll(plan, candidates);
    const still = missingMib(state, need, target);
    return first ?? (still.size === 0 ? null : (itselfLeaves(plan) ?? noRoom(plan)));
  }
  return evictEnough(plan, candidates, missing);
}

interface Candidates {
  readonly free: readonly TargetState[];
  readonly spared: readonly TargetState[];
}

function candidatesFor({ state, target, need, consumer }: Plan): Candidates {
  const cards = [...need.keys()];
  const evictable = targetsOf(state)
    .filter((one) => one !== target && isEvictable(state, one, cards))
    .sort(byLeastUse);
  const isSpared = (one: TargetState): boolean => consumer.settings.canCoexistWith.has(one.target.consumer);
  return { free: evictable.filter((one) => !isSpared(one)), spared: evictable.filter(isSpared) };
}

function isEvictable(state: BrokerState, target: TargetState, cards: readonly number[]): boolean {
  const consumer = state.consumers.get(target.target.consumer);
  if (consumer === undefined || !consumer.settings.cards.some((card) => cards.includes(card))) return false;
  if (target.residency !== 'resident' && target.residency !== 'unknown') return false;
  if (consumer.grants.size > 0 || isPinned(state, target)) return false;
  if (target.residency === 'unknown' && !mayHold(state, consumer)) return false;
  return consumer.settings.unloadsByCall || consumer.settings.unit !== null;
}

/** Whether something of unknown state can hold memory at all: one that is down does not, unless its processes are seen. */
function mayHold(state: BrokerState, consumer: ConsumerState): boolean {
  const held = heldByProcesses(state, consumer.id);
  if (held !== null) return held > 0;
  return consumer.health !== 'down' && currentReading(state) !== null;
}

function evictAll(plan: Plan, { free, spared }: Candidates): Verdict | null {
  // Without any figures only the targets that were said to get along may stay; after an out of memory, nobody.
  const leaving = plan.demand.alone ? [...free, ...spared] : free;
  const first = leaving.find((one) => !isForeignHeld(plan, one) && !isKept(plan.state, one));
  const busy = leaving.find((one) => isForeignHeld(plan, one));
  if (first !== undefined) return evictVerdict(plan, first);
  return busy !== undefined ? foreignHeldVerdict(plan, busy) : keptVerdict(plan, leaving);
}

/** Whom a reader keeps for a moment. */
function keptVerdict({ state, needMib, freeMib }: Plan, candidates: readonly TargetState[]): Verdict | null {
  const kept = candidates.filter((one) => isKept(state, one));
  if (kept.length === 0) return null;
  const holders = kept.map((one) => ({ name: one.name, mib: footprintOf(state, one).residentMib }));
  const retryAt = Math.min(...kept.map((one) => readKeepsUntil(state, one)));
  return { kind: 'aside', reason: { code: 'protected', kept: holders, needMib, freeMib }, retryAt };
}

function evictEnough(plan: Plan, { free, spared }: Candidates, missing: ReadonlyMap<number, number>): Verdict {
  const { state } = plan;
  const idle = (list: readonly TargetState[]): TargetState[] =>
    list.filter((one) => !isForeignHeld(plan, one) && !isKept(state, one));
  const victims =
    chooseVictims(state, missing, idle(free)) ?? chooseVictims(state, missing, [...idle(free), ...idle(spared)]);
  const first = victims?.[0];
  if (first !== undefined) return evictVerdict(plan, first);
  return blocked(plan, free, spared, missing);
}

/** Whom to wait for, where evicting everybody who may leave would not do. */
function blocked(
  plan: Plan,
  free: readonly TargetState[],
  spared: readonly TargetState[],
  missing: ReadonlyMap<number, number>,
): Verdict {
  const { state } = plan;
  const all = [...free, ...spared];
  const busy = all.find((one) => isForeignHeld(plan, one));
  const busyOnly = foreignBusyHolder(plan) ?? (busy === undefined ? null : state.consumers.get(busy.target.consumer));
  // What it said may be long ago: whoever waits for it asks it.
  if (busyOnly != null)
    return mustAsk(busyOnly, plan.demand) ? askVerdict(plan, busyOnly) : foreignVerdict(plan, busyOnly);
  const kept = keptVerdict(plan, all);
  if (kept !== null) return kept;
  // What is known of sizes may be wrong: while somebody can leave and strangers are not the cause, he leaves.
  const first = free[0];
  if (first !== undefined && !othersAreTheCause(plan, missing)) return evictVerdict(plan, first);
  // Somebody may have loaded a model past us.
  const unasked = consumersOf(state).find((one) => isOnCards(plan, one) && mustAsk(one, plan.demand));
  if (unasked !== undefined) return askVerdict(plan, unasked);
  return itselfLeaves(plan) ?? noRoom(plan);
}

/** What is missing may be held by itself, where nobody knows what it holds (a run that failed after the load). */
function itselfLeaves(plan: Plan): Verdict | null {
  const { state, target, need } = plan;
  const unknown = target.residency === 'unknown' && !isBelievable(state);
  return unknown && isEvictable(state, target, [...need.keys()]) ? evictVerdict(plan, target) : null;
}

/** A consumer with foreign work that is no candidate, because its run is set aside for it: the headroom is short by that. */
function foreignBusyHolder(plan: Plan): ConsumerState | null {
  for (const consumer of consumersOf(plan.state)) {
    if (isForeignBusy(consumer) && isOnCards(plan, consumer)) return consumer;
  }
  return null;
}

function noRoom(plan: Plan): Verdict {
  const { state, need, needMib, freeMib } = plan;
  const holders: Holder[] = [];
  for (const card of need.keys()) holders.push(...holdersOn(state, card));
  const givenUpAt = state.now + state.settings.noRoomMs;
  return {
    kind: 'aside',
    reason: { code: 'no_room', needMib, freeMib, mostMib: freeMib, holders, givenUpAt },
    retryAt: null,
  };
}

function holdersOn(state: BrokerState, card: number): Holder[] {
  const strangers = (currentReading(state)?.processes ?? [])
    .filter((use) => use.card === card && use.consumer === null && (use.usedMib ?? 0) > 0)
    .map((use) => ({ name: `${use.name} (process ${use.pid})`, mib: use.usedMib ?? 0 }));
  const ours = targetsOf(state)
    .filter((one) => holdsMemory(one) && state.consumers.get(one.target.consumer)?.settings.cards.includes(card))
    .map((one) => ({ name: `${one.name} (${one.residency})`, mib: footprintOf(state, one).residentMib }));
  return [...strangers, ...ours].sort((a, b) => b.mib - a.mib).slice(0, 8);
}

function evictVerdict(plan: Plan, victim: TargetState): Verdict {
  const consumer = plan.state.consumers.get(victim.target.consumer);
  if (consumer !== undefined && mustAsk(consumer, plan.demand)) return askVerdict(plan, consumer);
  return { kind: 'evict', victim, need: plan.need, freeMib: plan.freeMib };
}

function isForeignHeld({ state, demand }: Plan, target: TargetState): boolean {
  const consumer = state.consumers.get(target.target.consumer);
  // Asked too long ago: it is asked anew before it has to leave.
  return consumer !== undefined && isForeignBusy(consumer) && !mustAsk(consumer, demand);
}

function foreignHeldVerdict(plan: Plan, target: TargetState): Verdict {
  const consumer = plan.state.consumers.get(target.target.consumer);
  return consumer === undefined ? noRoom(plan) : foreignVerdict(plan, consumer);
}

/** Evicting it means stopping its unit, and a file of it was read a moment ago. */
function isKept(state: BrokerState, target: TargetState): boolean {
  return readKeepsUntil(state, target) > state.now;
}

function readKeepsUntil(state: BrokerState, target: TargetState): MonotonicMs {
  const consumer = state.consumers.get(target.target.consumer);
  if (consumer === undefined || consumer.settings.unloadsByCall || consumer.lastReadAt === null) return 0;
  return consumer.lastReadAt + READ_KEEPS_MS;
}
