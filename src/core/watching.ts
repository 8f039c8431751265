/** When to look at the card, or to ask a consumer, outside the usual rhythm. */
import { askConsumer, type Step } from './jobs.js';
import { measure } from './operations.js';
import type { Verdict } from './planner.js';
import type { BrokerState, TargetState } from './state.js';
import { type MonotonicMs, targetName } from './vocabulary.js';

/** So many runs of a target are measured closely, so often. */
const CLOSELY_WATCHED_RUNS = 3;
const CLOSE_LOOK_MS = 100;

/** What a plan wants to know before it decides. */
export function carryOutQuestion(step: Step, verdict: Extract<Verdict, { kind: 'measure' | 'ask' | 'wait' }>): void {
  if (verdict.kind === 'measure') measure(step);
  if (verdict.kind !== 'ask') return;
  const consumer = step.state.consumers.get(verdict.consumer);
  if (consumer !== undefined) askConsumer(step, consumer);
}

/** Runs of a target whose size is not well known yet are measured closely, and a load as soon as it can be seen. */
export function watchClosely(step: Step, makesRoom: boolean): void {
  const { state, now } = step;
  if (!makesRoom || state.measuring) return;
  const unseen = [...state.targets.values()].some((target) => isUnseenLoad(state, target));
  if (unseen || (isLearning(state) && now >= nextCloseLook(state))) measure(step);
}

function isUnseenLoad(state: BrokerState, target: TargetState): boolean {
  return target.residency === 'loading' && target.loadSeenAt !== null && state.operation === null;
}

function isLearning(state: BrokerState): boolean {
  if (state.readingError !== null) return false;
  return [...state.grants.values()].some((job) => {
    const target = state.targets.get(targetName({ consumer: job.consumer, model: job.model }));
    return job.outcome === null && target !== undefined && target.runsObserved < CLOSELY_WATCHED_RUNS;
  });
}

function nextCloseLook(state: BrokerState): MonotonicMs {
  return (state.reading?.sampledAt ?? 0) + CLOSE_LOOK_MS;
}

export function closeLookWakeAt(state: BrokerState, makesRoom: boolean): MonotonicMs | null {
  return makesRoom && !state.measuring && isLearning(state) ? nextCloseLook(state) : null;
}
