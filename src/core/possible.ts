/** Whether a demand can be met at all: at any time, or as things are with strangers and with those who cannot leave. */
import { cardTotalMib, footprintOf, residueMib, shareMib } from './footprints.js';
import { cardReading, foreignMib, heldByProcesses } from './ledger.js';
import { type Plan, sumOf, type Verdict } from './plan.js';
import { consumersOf, holdsMemory, isPinned, targetsOf } from './residency.js';
import type { BrokerState, ConsumerState, TargetState } from './state.js';
import type { Holder } from './vocabulary.js';

export function impossible(plan: Plan): Verdict | null {
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

/** The most that a run of it can ever be given, all its cards together; null: no total is known. */
export function mostRunMib(state: BrokerState, target: TargetState): number | null {
  const consumer = state.consumers.get(target.target.consumer);
  if (consumer === undefined) return null;
  const { cards } = consumer.settings;
  const resident = shareMib(consumer, footprintOf(state, target).residentMib);
  const rooms = cards.map((card) => {
    const kept = sumOf(keptMib(state, target, card).map((holder) => holder.mib));
    return (cardTotalMib(state, card) ?? Infinity) - state.settings.reserveMib - kept - resident;
  });
  const least = Math.min(...rooms);
  return least === Infinity ? null : Math.max(0, least) * cards.length;
}

export function mustNotStart(consumer: ConsumerState): Verdict | null {
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

/** Whether strangers, and what nobody can unload, leave too little even if everybody else left. */
export function othersAreTheCause(
  { state, need, consumer, target }: Plan,
  missing: ReadonlyMap<number, number>,
): boolean {
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
