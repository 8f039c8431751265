/** How a target's run size is raised after an out of memory, so that the same cause does not strike twice. */
import { footprintOf, learnedOf } from './footprints.js';
import type { Step } from './jobs.js';
import { LOOKS_ENOUGH, raisedMib } from './learning.js';
import { mostRunMib } from './possible.js';
import { saveMemory } from './remembering.js';
import type { TargetState } from './state.js';

const RAISED_BY = 1.25;

/** `roomMib`: what it had was not enough, the reserve included. Never so high that it could not be tried any more. */
export function raiseRun(step: Step, target: TargetState, roomMib: number | null): void {
  const { state } = step;
  const { runMib } = footprintOf(state, target);
  const had = roomMib === null ? 0 : roomMib + state.settings.reserveMib;
  const most = Math.max(runMib, mostRunMib(state, target) ?? Infinity);
  const raised = Math.min(most, Math.max(Math.ceil(runMib * RAISED_BY), had));
  const known = learnedOf(state, target);
  state.learned.set(target.name, { ...known, run: raisedMib(known.run, raised) });
  // Its runs are watched closely again until its true size was seen.
  target.runsObserved = 0;
  saveMemory(step);
}

/** The second try went well, but nobody saw what it took: a quarter more need not be enough, so it is a quarter more again. */
export function raiseUnseenRun(step: Step, target: TargetState): void {
  if (target.looks < LOOKS_ENOUGH) raiseRun(step, target, null);
}
