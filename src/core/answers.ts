/**
 * What a consumer said of itself: which of its models are loaded, what it works on. Silence proves nothing, and neither
 * does a word about a time before something of ours changed.
 */
import type { EventOf } from './events.js';
import { learnedOf } from './footprints.js';
import { noteWork } from './foreign-work.js';
import type { Step } from './jobs.js';
import { observedMib } from './learning.js';
import { move, targetStateOf, targetsOf } from './residency.js';
import type { BrokerState, ConsumerState, TargetState } from './state.js';
import { type MonotonicMs, targetName } from './vocabulary.js';

type Loaded = readonly { readonly model: string | null; readonly mib: number | null }[];

export function applyAnswer(step: Step, event: EventOf<'ConsumerAsked'>): void {
  const consumer = step.state.consumers.get(event.consumer);
  if (consumer === undefined) return;
  const toldApart = noteWork(step, consumer, event);
  // The asker's silence (`runtime/asker.ts`) is no answer to a question of ours.
  if (event.answer === null && event.usesCard !== undefined) return;
  // One of ours that began later is still open.
  if ((consumer.askingSince ?? Infinity) <= event.startedAt) consumer.askingSince = null;
  // What could not be told apart from work of ours is asked again where it matters.
  if (toldApart) consumer.askedAt = Math.max(consumer.askedAt ?? 0, event.startedAt);
  if (event.answer?.loaded != null) applyLoaded(step, consumer, event.answer.loaded, event.startedAt);
}

function applyLoaded(step: Step, consumer: ConsumerState, loaded: Loaded, startedAt: MonotonicMs): void {
  const { state } = step;
  const changedSince = (target: TargetState | undefined): boolean => (target?.since ?? startedAt) > startedAt;
  for (const { model, mib } of loaded) {
    const wanted = { consumer: consumer.id, model };
    const isOld = changedSince(state.targets.get(targetName(wanted)));
    const target = targetStateOf(state, wanted);
    learnReported(state, target, mib);
    if (!isOld && (target.residency === 'absent' || target.residency === 'unknown')) {
      move(step, target, 'resident', { code: 'observed', mib, how: 'the consumer says that it is loaded' });
    }
  }
  const names = new Set(loaded.map(({ model }) => model));
  for (const target of targetsOf(state, consumer)) {
    if (names.has(target.target.model) || changedSince(target) || state.operation?.target === target.name) continue;
    const running = [...consumer.grants].some((job) => state.grants.get(job)?.model === target.target.model);
    const mayLeave = target.residency === 'resident' || target.residency === 'unknown';
    if (running || !(mayLeave || isHeldByNeighbours(state, consumer, target))) continue;
    move(step, target, 'absent', { code: 'observed', mib: null, how: 'the consumer says that it is not loaded' });
  }
}

/** Stuck, though what is still there can be that of a neighbour who takes more than is known of him: its word decides. */
function isHeldByNeighbours(state: BrokerState, consumer: ConsumerState, target: TargetState): boolean {
  if (target.residency !== 'stuck') return false;
  return targetsOf(state, consumer).some((other) => other !== target && other.residency === 'resident');
}

/** A consumer knows the size of its models better than any declaration; its word raises what is known, it never lowers it. */
function learnReported(state: BrokerState, target: TargetState, mib: number | null): void {
  if (mib === null || mib <= 0) return;
  target.reportedMib = mib;
  const known = learnedOf(state, target);
  if (target.target.model === null || (known.resident?.mib ?? 0) >= mib) return;
  state.learned.set(target.name, { ...known, resident: observedMib(known.resident, mib) });
}
