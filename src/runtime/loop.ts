/**
 * Owns the broker's state: takes events one at a time, steps the core, has its commands carried out, and wakes it when
 * it asked to be woken. A handler that posts while a step's commands run is queued behind them: no step nests.
 */
import { step } from '../core/broker.js';
import type { CoreEvent } from '../core/events.js';
import { type Intake, intakeOf, type Snapshot, snapshotOf } from '../core/snapshot.js';
import type { BrokerState } from '../core/state.js';
import type { MonotonicMs } from '../core/vocabulary.js';
import type { Execute } from './executor.js';
import type { BrokerPort, Clock } from './ports.js';

/** The loop turns at least so often: who stops turning is not healthy. */
const HEARTBEAT_MS = 2000;

export class Loop implements BrokerPort {
  readonly #state: BrokerState;
  readonly #clock: Clock;
  readonly #pending: CoreEvent[] = [];
  #execute: Execute | null = null;
  #turning = false;
  #closed = false;
  #lastTurnAt: MonotonicMs;
  #timer: NodeJS.Timeout | null = null;
  #ringsAt: MonotonicMs = 0;

  constructor(state: BrokerState, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
    this.#lastTurnAt = clock.now();
  }

  /** Events posted before are kept; the loop and those who carry out its commands know each other, so one comes second. */
  start(execute: Execute): void {
    this.#execute = execute;
    this.post({ type: 'Ticked' });
  }

  post(event: CoreEvent): void {
    if (this.#closed) return;
    this.#pending.push(event);
    if (this.#turning || this.#execute === null) return;
    this.#turning = true;
    try {
      this.#drain(this.#execute);
    } finally {
      this.#turning = false;
    }
  }

  #drain(execute: Execute): void {
    let wakeAt: MonotonicMs | null = null;
    for (let event = this.#pending.shift(); event !== undefined; event = this.#pending.shift()) {
      const result = step(this.#state, event, this.#clock.now());
      wakeAt = result.wakeAt;
      for (const command of result.commands) execute(command, this.#state.now);
    }
    this.#lastTurnAt = this.#clock.now();
    this.#sleepUntil(wakeAt);
  }

  #sleepUntil(wakeAt: MonotonicMs | null): void {
    const now = this.#lastTurnAt;
    const wanted = Math.min(now + HEARTBEAT_MS, Math.max(now, wakeAt ?? Infinity));
    if (this.#timer !== null) {
      // One that rings sooner stays: turning once for nothing is cheaper than a new timer at each of a job's events.
      if (this.#ringsAt > now && this.#ringsAt <= wanted) return;
      clearTimeout(this.#timer);
    }
    this.#ringsAt = wanted;
    this.#timer = setTimeout(() => this.#ring(), Math.ceil(wanted - now));
  }

  #ring(): void {
    this.#timer = null;
    this.post({ type: 'Ticked' });
  }

  snapshot(): Snapshot {
    return snapshotOf(this.#state);
  }

  intake(): Intake {
    return intakeOf(this.#state);
  }

  lastTurnAt(): MonotonicMs {
    return this.#lastTurnAt;
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
