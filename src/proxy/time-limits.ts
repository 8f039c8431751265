/**
 * The configured limits of one request's time, each by the name it has in the file. No other limit cuts a request
 * short. Owns the timers of one request.
 */

export type LimitName = 'connect' | 'first_byte' | 'idle' | 'run' | 'upload';

export class TimeLimits {
  readonly #expired: (name: LimitName, limitMs: number) => void;
  readonly #timers: { [Name in LimitName]?: NodeJS.Timeout | undefined } = {};

  /** `expired` is called at most once; all others are stopped then. */
  constructor(expired: (name: LimitName, limitMs: number) => void) {
    this.#expired = expired;
  }

  start(name: LimitName, limitMs: number): void {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(expire, limitMs, this, name, limitMs);
  }

  /** Something came: the time begins anew. Nothing happens where the limit does not run. */
  touch(name: LimitName): void {
    this.#timers[name]?.refresh();
  }

  stop(name: LimitName): void {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = undefined;
  }

  stopAll(): void {
    this.stop('connect');
    this.stop('first_byte');
    this.stop('idle');
    this.stop('run');
    this.stop('upload');
  }

  /** For the timer. */
  expire(name: LimitName, limitMs: number): void {
    this.stopAll();
    this.#expired(name, limitMs);
  }
}

const expire = (limits: TimeLimits, name: LimitName, limitMs: number): void => limits.expire(name, limitMs);

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
