/**
 * The configured limits of one request's time, each by the name it has in the file. No other limit cuts a request
 * short. Owns the one timer of one request: it rings for the limit that comes first, or too soon where that one was
 * moved meanwhile, for moving a time is cheaper than moving a timer.
 */
import type { MonotonicMs } from '../core/vocabulary.js';
import type { Clock } from '../runtime/ports.js';

const NAMES = ['connect', 'first_byte', 'idle', 'run', 'upload'] as const;
export type LimitName = (typeof NAMES)[number];

interface Limit {
  limitMs: number;
  /** Infinity: it does not run. */
  endsAt: MonotonicMs;
}

export class TimeLimits {
  readonly #clock: Clock;
  readonly #expired: (name: LimitName, limitMs: number) => void;
  readonly #limits: { [Name in LimitName]?: Limit } = {};
  #timer: NodeJS.Timeout | null = null;
  #ringsAt: MonotonicMs = Infinity;

  /** `expired` is called at most once; all others are stopped then. */
  constructor(clock: Clock, expired: (name: LimitName, limitMs: number) => void) {
    this.#clock = clock;
    this.#expired = expired;
  }

  start(name: LimitName, limitMs: number): void {
    const endsAt = this.#clock.now() + limitMs;
    this.#limits[name] = { limitMs, endsAt };
    if (endsAt < this.#ringsAt) this.#ringAt(endsAt, limitMs);
  }

  /** Something came: the time begins anew. Nothing happens where the limit does not run. */
  touch(name: LimitName): void {
    const limit = this.#limits[name];
    if (limit !== undefined && limit.endsAt < Infinity) limit.endsAt = this.#clock.now() + limit.limitMs;
  }

  stop(name: LimitName): void {
    const limit = this.#limits[name];
    if (limit !== undefined) limit.endsAt = Infinity;
  }

  stopAll(): void {
    for (const name of NAMES) this.stop(name);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#ringsAt = Infinity;
  }

  #ringAt(at: MonotonicMs, inMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#ringsAt = at;
    this.#timer = setTimeout(ring, Math.ceil(inMs), this);
  }

  /** For the timer. */
  ring(): void {
    this.#timer = null;
    this.#ringsAt = Infinity;
    const now = this.#clock.now();
    let earliest = Infinity;
    for (const name of NAMES) {
      const limit = this.#limits[name];
      if (limit === undefined) continue;
      if (limit.endsAt <= now) {
        this.stopAll();
        this.#expired(name, limit.limitMs);
        return;
      }
      earliest = Math.min(earliest, limit.endsAt);
    }
    if (earliest < Infinity) this.#ringAt(earliest, earliest - now);
  }
}

const ring = (limits: TimeLimits): void => limits.ring();

const UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** As a person writes it in the configuration: `250ms`, `5s`, `10m`, `1h`. */
export function durationText(ms: number): string {
  for (const [unit, sizeMs] of UNITS) if (ms >= sizeMs && ms % sizeMs === 0) return `${ms / sizeMs}${unit}`;
  return `${ms}ms`;
}
