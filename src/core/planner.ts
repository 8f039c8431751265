/**
 * For one demand on the card, what has to happen next, in named stages: possible at all · resident · fits · fits after
 * evicting these · wait, with the reason and what wakes it · never. Reads the state, changes nothing.
 */
import { cardTotalMib, footprintOf, residueMib, shareMib } from './footprints.js';
import {
  cardReading,
  currentReading,
  foreignMib,
  headroomMib,
  heldByProcesses,
  isForeignBusy,
  shouldMeasure,
} from './ledger.js';
import { byLeastUse, chooseVictims, missingMib, type Need } from './policies/vram-lru.js';
import { consumersOf, holdsMemory, isPinned, targetStateOf, targetsOf } from './residency.js';
import { canBeAsked } from './startable.js';
import type { BrokerState, ConsumerState, TargetState } from './state.js';
import type { ConsumerId, Holder, MonotonicMs, Target, WaitReason } from './vocabulary.js';

/** Somebody who wants the card: a job, or an operator who wants a target loaded. */
export interface Demand {
  readonly target: Target;
  /** Whether a run follows, and room for it is needed. */
  readonly runs: boolean;
  /** It ran out of memory once: everybody else who can leave does. */
  readonly alone: boolean;
  /** Since when it has had the lock: what it asks of others must be younger. */
  readonly since: MonotonicMs;
}

export type Verdict =
  | { readonly kind: 'go'; readonly need: Need }
  | { readonly kind: 'load' | 'start'; readonly need: Need }
  | { readonly kind: 'measure'; readonly reason: WaitReason }
  | { readonly kind: 'ask'; readonly consumer: ConsumerId; readonly reason: WaitReason }
  | { readonly kind: 'evict'; readonly victim: TargetState; readonly need: Need; readonly freeMib: number | null }
  /** Keeps the lock: what is under way on the card wakes it. */
  | { readonly kind: 'wait'; readonly reason: WaitReason }
  /** Gives the lock back: nobody of ours can help now. */
  | { readonly kind: 'aside'; readonly reason: WaitReason; readonly retryAt: MonotonicMs | null }
  | { readonly kind: 'never'; readonly code: 'does_not_fit' | 'consumer_parked'; readonly message: string };

/** A consumer whose file was read is not parked so soon: the reader may come back for the rest. */
export const READ_KEEPS_MS = 15_000;
export const FOREIGN_WORK_POLL_MS = 1000;

interface Plan {
  readonly state: BrokerState;
  readonly consumer: ConsumerState;
  readonly target: TargetState;
  readonly demand: Demand;
  readonly need: Need;
  readonly needMib: number;
  readonly freeMib: number | null;
}

/** `makesRoom: false`: the lock alone, nothing is evicted and nothing is checked; a parked unit is started all the same. */
export function planFor(state: BrokerState, consumer: ConsumerState, demand: Demand, makesRoom: boolean): Verdict {
  const target = targetStateOf(state, demand.target);
  const need = needOf(state, consumer, target, demand);
  const needMib = sumOf(need.values());
  const plan: Plan = { state, consumer, target, demand, need, needMib, freeMib: freeFor(state, need) };
  const next = { kind: nextStep(plan, makesRoom), need } as const;
  if (!makesRoom) return mustNotStart(consumer) ?? (next.kind === 'go' ? next : (notItsTime(plan) ?? next));
  return impossible(plan) ?? notItsTime(plan) ?? foreignBusy(plan) ?? makeRoom(plan) ?? next;
}

const sumOf = (values: Iterable<number>): number => [...values].reduce((sum, value) => sum + value, 0);

/** What is there already need not be found again: a resident needs only its run, residue counts towards a load. */
function needOf(state: BrokerState, consumer: ConsumerState, target: TargetState, demand: Demand): Need {
  const footprint = footprintOf(state, target);
  const need = new Map<number, number>();
  for (const card of consumer.settings.cards) {
    const run = demand.runs ? shareMib(consumer, footprint.runMib) : 0;
    need.set(
      card,
      run + (target.residency === 'resident' ? 0 : restOfLoad(state, consumer, footprint.residentMib, card)),
    );
  }
  return need;
}

function restOfLoad(state: BrokerState, consumer: ConsumerState, residentMib: number, card: number): number {
  const share = shareMib(consumer, residentMib);
  if (consumer.settings.swaps === 'models') return share;
  return Math.max(0, share - (heldByProcesses(state, consumer.id, card) ?? 0));
}

function freeFor(state: BrokerState, need: Need): number | null {
  const free = [...need.keys()].map((card) => headroomMib(state, card));
  return free.some((mib) => mib === null) ? null : sumOf(free.map((mib) => mib ?? 0));
}

function impossible(plan: Plan): Verdict | null {
  const { state, consumer, target, need, demand } = plan;
  const parked = mustNotStart(consumer);
  // After an out of memory the figures are in doubt: what is tried is everything that can be had.
  if (parked !== null || demand.alone) return parked;
  for (const [card, mib] of need) {
    const total = cardTotalMib(state, card);
    if (total === null) continue;
    const kept = keptMib(state, target, card);
    const whole = target.residency === 'resident' ? mib : shareMib(consumer, wholeMib(plan));
    const most = total - state.settings.reserveMib - sumOf(kept.map((holder) => holder.mib));
    if (whole <= most) continue;
    const holders = kept.map((holder) => `${holder.name} ${holder.mib} MiB`).join(', ');
    const message =
      `${target.name} needs ${whole} MiB on card ${card}, at most ${most} MiB can be had of ${total} MiB ` +
      `(${state.settings.reserveMib} MiB reserve${holders === '' ? '' : `, kept: ${holders}`})`;
    return { kind: 'never', code: 'does_not_fit', message };
  }
  return null;
}

function mustNotStart(consumer: ConsumerState): Verdict | null {
  if (!consumer.parked || consumer.settings.start !== 'never') return null;
  const message = `${consumer.id} is parked and its \`start\` is never: start ${consumer.settings.unit} by hand`;
  return { kind: 'never', code: 'consumer_parked', message };
}

function wholeMib({ state, target, demand }: Plan): number {
  const footprint = footprintOf(state, target);
  return footprint.residentMib + (demand.runs ? footprint.runMib : 0);
}

/** What no eviction gives back: pinned residents, and what the other consumers' processes keep. */
function keptMib(state: BrokerState, wanted: TargetState, card: number): Holder[] {
  const kept: Holder[] = [];
  for (const consumer of consumersOf(state)) {
    if (!consumer.settings.cards.includes(card)) continue;
    const targets = targetsOf(state, consumer).filter((target) => target !== wanted);
    for (const target of targets.filter((one) => holdsMemory(one) && isPinned(state, one))) {
      kept.push({ name: `${target.name} (pinned)`, mib: shareMib(consumer, footprintOf(state, target).residentMib) });
    }
    const own = consumer.id === wanted.target.consumer;
    const pinned = targets.some((one) => holdsMemory(one) && isPinned(state, one));
    const residue = own || pinned ? null : keptAfterUnload(state, consumer, card);
    if (residue !== null && residue > 0) kept.push({ name: `${consumer.id} (residue)`, mib: residue });
  }
  return kept;
}

function keptAfterUnload(state: BrokerState, consumer: ConsumerState, card: number): number | null {
  const held = heldByProcesses(state, consumer.id, card);
  const learned = state.residues.get(consumer.id);
  if (!consumer.settings.unloadsByCall || consumer.parked || learned === undefined) return null;
  const share = shareMib(consumer, residueMib(state, consumer.id));
  return held === null ? share : Math.min(held, share);
}

/** Its target is on its way somewhere, or must cool down. */
function notItsTime({ state, target }: Plan): Verdict | null {
  const since = target.since;
  if (target.residency === 'loading') {
    const usualMs = state.learned.get(target.name)?.loadMs ?? null;
    return { kind: 'wait', reason: { code: 'loading', target: target.target, since, usualMs } };
  }
  if (target.residency === 'evicting') {
    return { kind: 'wait', reason: { code: 'load_queue', target: target.target, since } };
  }
  if (target.residency !== 'resident' && target.coolUntil !== null && target.coolUntil > state.now) {
    const until = target.coolUntil;
    const reason = { code: 'cooling_down', target: target.target, failures: target.failures, until } as const;
    return { kind: 'aside', reason, retryAt: until };
  }
  return null;
}

/** Its own consumer works for somebody else. */
function foreignBusy(plan: Plan): Verdict | null {
  const { consumer, demand } = plan;
  if (mustAsk(consumer, demand)) return askVerdict(plan, consumer);
  return isForeignBusy(consumer) && !consumer.parked ? foreignVerdict(plan, consumer) : null;
}

/** It can say who works on it, or which of its models are loaded, and has not been asked for this demand. */
function mustAsk(consumer: ConsumerState, demand: Demand): boolean {
  return canBeAsked(consumer) && (consumer.askedAt === null || consumer.askedAt < demand.since);
}

function askVerdict({ needMib, freeMib, state }: Plan, consumer: ConsumerState): Verdict {
  return { kind: 'ask', consumer: consumer.id, reason: { code: 'measuring', needMib, freeMib, since: state.now } };
}

function foreignVerdict({ needMib, freeMib, state }: Plan, consumer: ConsumerState): Verdict {
  const since = consumer.foreignSince ?? state.now;
  const reason = { code: 'foreign_work', consumer: consumer.id, since, needMib, freeMib } as const;
  return { kind: 'aside', reason, retryAt: state.now + FOREIGN_WORK_POLL_MS };
}

function makeRoom(plan: Plan): Verdict | null {
  const { state, demand, need, needMib, freeMib, target } = plan;
  const missing = demand.alone ? need : missingMib(state, need);
  const blind = freeMib === null;
  const fits = !demand.alone && !blind && missing.size === 0;
  // A run on what is resident may start by an older reading; a load or an eviction needs one that shows everything.
  if (fits && target.residency === 'resident' && currentReading(state) !== null) return null;
  if (shouldMeasure(state)) {
    return { kind: 'measure', reason: { code: 'measuring', since: state.now, needMib, freeMib } };
  }
  if (fits) return null;
  const candidates = candidatesFor(plan);
  if (demand.alone || blind) {
    const first = evictAll(plan, candidates);
    const still = missingMib(state, need);
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
  if (busyOnly != null) return foreignVerdict(plan, busyOnly);
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
  const unknown = target.residency === 'unknown' && (currentReading(state)?.processes ?? null) === null;
  return unknown && isEvictable(state, target, [...need.keys()]) ? evictVerdict(plan, target) : null;
}

function isOnCards({ need }: Plan, consumer: ConsumerState): boolean {
  return consumer.settings.cards.some((card) => need.has(card));
}

/** A consumer with foreign work that is no candidate, because its run is set aside for it: the headroom is short by that. */
function foreignBusyHolder(plan: Plan): ConsumerState | null {
  for (const consumer of consumersOf(plan.state)) {
    if (isForeignBusy(consumer) && isOnCards(plan, consumer)) return consumer;
  }
  return null;
}

/** Whether strangers, and what nobody can unload, leave too little even if everybody else left. */
function othersAreTheCause({ state, need, consumer, target }: Plan, missing: ReadonlyMap<number, number>): boolean {
  return [...missing.keys()].some((card) => {
    const total = cardTotalMib(state, card);
    if (total === null) return false;
    const kept = sumOf(keptMib(state, target, card).map((holder) => holder.mib));
    const driver = cardReading(state, card)?.driverReservedMib ?? 0;
    const own = heldByProcesses(state, consumer.id, card) ?? 0;
    const lost = kept + driver + (foreignMib(state, card) ?? 0) + unyieldingMib(state, target, card);
    return (need.get(card) ?? 0) + own > total - state.settings.reserveMib - lost;
  });
}

/** Held by targets that would not leave (stuck), or that nobody can unload. */
function unyieldingMib(state: BrokerState, wanted: TargetState, card: number): number {
  let mib = 0;
  for (const target of state.targets.values()) {
    const consumer = state.consumers.get(target.target.consumer);
    if (target === wanted || consumer === undefined || !consumer.settings.cards.includes(card)) continue;
    if (!holdsMemory(target) || isPinned(state, target)) continue;
    const canLeave = consumer.settings.unloadsByCall || consumer.settings.unit !== null;
    if (target.residency === 'stuck' || !canLeave) mib += shareMib(consumer, footprintOf(state, target).residentMib);
  }
  return mib;
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
  if (consumer === undefined || !isForeignBusy(consumer)) return false;
  // One that can be asked, but was asked too long ago, is asked anew before it has to leave.
  return !consumer.settings.asksForeignWork || !mustAsk(consumer, demand);
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

function nextStep({ consumer, target, demand }: Plan, makesRoom: boolean): 'go' | 'load' | 'start' {
  if (target.residency === 'resident') return 'go';
  const down = consumer.health === 'down' && consumer.settings.start === 'on-demand' && consumer.settings.unit !== null;
  if (consumer.parked || down) return 'start';
  if (!demand.runs || (makesRoom && consumer.settings.loads === 'by_call')) return 'load';
  return 'go';
}
