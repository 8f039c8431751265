/**
 * Where each target stands, and the only door through which it moves. A move that the table does not know is a bug of
 * ours and throws; losing the reading moves nobody.
 */
import type { TargetReason } from './facts.js';
import type { Step } from './jobs.js';
import { type BrokerState, type ConsumerState, NO_AMOUNTS, newTargetState, type TargetState } from './state.js';
import { type MonotonicMs, type Residency, type Target, targetName } from './vocabulary.js';

const LEGAL: Readonly<Record<Residency, readonly Residency[]>> = {
  absent: ['loading', 'resident', 'unknown', 'parked'],
  loading: ['resident', 'unknown', 'absent', 'parked'],
  resident: ['evicting', 'absent', 'unknown', 'parked'],
  evicting: ['absent', 'parked', 'stuck', 'unknown'],
  unknown: ['absent', 'resident', 'loading', 'evicting', 'parked'],
  stuck: ['absent', 'resident', 'evicting', 'unknown', 'parked', 'loading'],
  parked: ['loading', 'absent', 'unknown', 'resident'],
};

export function move(step: Step, target: TargetState, to: Residency, reason: TargetReason): void {
  const from = target.residency;
  if (from === to) return;
  if (!LEGAL[from].includes(to)) throw new Error(`${target.name} cannot go from ${from} to ${to}`);
  target.residency = to;
  target.since = step.now;
  if (to === 'loading') {
    target.loadBeganAt = step.now;
    target.loadSeenAt = null;
  }
  if (to === 'absent' || to === 'parked') target.reportedMib = null;
  if (to !== 'stuck') target.retryAt = null;
  if (to !== 'stuck' && to !== 'evicting') target.stuckTries = 0;
  if (to === 'resident' && from === 'loading') step.state.loads += 1;
  step.commands.push({ type: 'RecordFact', fact: { type: 'target', target: target.target, from, to, reason } });
}

export function targetStateOf(state: BrokerState, target: Target): TargetState {
  const name = targetName(target);
  const known = state.targets.get(name);
  if (known !== undefined) return known;
  const made = newTargetState(target, state.now);
  const consumer = state.consumers.get(target.consumer);
  // A model that was never heard of is not loaded, unless the consumer could not be asked yet.
  if (target.model !== null && consumer?.askedAt !== null) made.residency = consumer?.parked ? 'parked' : 'absent';
  state.targets.set(name, made);
  return made;
}

/** Sorted by name: the order of the configuration must change nothing. */
export function targetsOf(state: BrokerState, consumer?: ConsumerState): TargetState[] {
  return [...state.targets.values()]
    .filter((target) => consumer === undefined || target.target.consumer === consumer.id)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** When a job of ours on it last began or ended, or one of its targets last moved. */
export function lastChangeOf(state: BrokerState, consumer: ConsumerState): MonotonicMs {
  return Math.max(consumer.lastUsedAt ?? -Infinity, ...targetsOf(state, consumer).map((target) => target.since));
}

/** Sorted likewise. */
export function consumersOf(state: BrokerState): ConsumerState[] {
  return [...state.consumers.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Whether it takes room in the ledger when no reading says otherwise. */
export function holdsMemory(target: TargetState): boolean {
  return target.residency === 'resident' || target.residency === 'evicting' || target.residency === 'stuck';
}

export function isPinned(state: BrokerState, target: TargetState): boolean {
  if (target.pinnedByOperator) return true;
  const settings = state.consumers.get(target.target.consumer)?.settings;
  if (settings === undefined) return false;
  const model = target.target.model;
  return settings.declared.pinned || (model !== null && settings.models.get(model)?.pinned === true);
}

/** Counts failures in a row of loads and starts: 2, 4, 8 … 60 s of cooling down. */
export function noteLoadFailure(target: TargetState, now: number): void {
  target.failures += 1;
  target.coolUntil = now + Math.min(60, 2 ** target.failures) * 1000;
}

/** From now on the cards change for somebody else: what was measured for the others has nothing to be compared with. */
export function voidMeasures(state: BrokerState, except: TargetState): void {
  for (const target of state.targets.values()) {
    if (target === except) continue;
    target.beforeLoad = NO_AMOUNTS;
    target.peak = NO_AMOUNTS;
  }
}
