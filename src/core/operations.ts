/**
 * The one thing under way on the cards: a load, an unload, the start or stop of a unit. One at a time, because memory
 * during it is not knowable. Each has a bound. `loads.ts` and `unloads.ts` say how each begins, goes on and ends.
 */
import type { OperatorResult } from './commands.js';
import type { Step } from './jobs.js';
import { policyOf } from './policies/registry.js';
import type { BrokerState, ConsumerState } from './state.js';
import type { ConsumerId, JobId, MonotonicMs } from './vocabulary.js';

export interface UnloadOperation {
  readonly kind: 'unload';
  readonly target: string;
  readonly consumer: ConsumerId;
  readonly startedAt: MonotonicMs;
  readonly jobId: JobId | null;
  readonly request: number | null;
  rung: 'ask' | 'ask_again' | 'stop_unit';
  askedAt: MonotonicMs;
  /** The consumer said done (or the unit is stopped): from here on a reading is asked for again and again. */
  saidAt: MonotonicMs | null;
  deadline: MonotonicMs;
  nextMeasureAt: MonotonicMs;
  /** What should come back: the footprint, less what its process keeps. */
  readonly expectedMib: number;
  readonly beforeHeldMib: number | null;
  readonly beforeFreeMib: number | null;
  /** MiB by card that whoever waits needs; without figures by process, room for it is proof enough. */
  readonly need: ReadonlyMap<number, number>;
  readonly onlyTarget: boolean;
  /** Nobody knows whether it held anything at all. */
  readonly unsure: boolean;
  refused: boolean;
}

export interface LoadOperation {
  readonly kind: 'load' | 'start_unit';
  readonly target: string;
  readonly consumer: ConsumerId;
  readonly startedAt: MonotonicMs;
  readonly jobId: JobId | null;
  readonly request: number | null;
  /** The consumer said ready: resident with the first reading that began after. */
  saidAt: MonotonicMs | null;
  readonly deadline: MonotonicMs;
}

export type Operation = UnloadOperation | LoadOperation;

/** Who wanted it: a job that waits, an operator, or nobody (a stuck target is tried again). */
export interface Asker {
  readonly jobId: JobId | null;
  readonly request: number | null;
}

/** Past its own time-out, for the answer of whoever carries the command out. */
export const GRACE_MS = 5000;

/** Whether moving something of this consumer now would cut a run, or, under a lock, disturb whoever has it. */
export function isInUse(state: BrokerState, consumer: ConsumerState): boolean {
  return (policyOf(state.settings.policy).locks ? state.grants : consumer.grants).size > 0;
}

export function measure(step: Step): void {
  if (step.state.measuring) return;
  step.state.measuring = true;
  step.commands.push({ type: 'MeasureCard' });
}

export function answer(step: Step, request: number | null, result: OperatorResult): void {
  if (request !== null) step.commands.push({ type: 'AnswerOperator', request, result });
}
