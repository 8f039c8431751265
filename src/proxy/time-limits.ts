/**
 * The configured limits of one request's time, each by the name it has in the file. No other limit cuts a request
 * short. Owns the timers of one request.
 */

export type LimitName = 'connect' | 'first_byte' | 'idle' | 'run' | 'upload';

export interface TimeLimits {
  start(name: LimitName, limitMs: number): void;
  /** Something came: the time begins anew. Nothing happens where the limit does not run. */
  touch(name: LimitName): void;
  stop(name: LimitName): void;
  stopAll(): void;
}

/** `expired` is called at most once; all others are stopped then. */
export function createTimeLimits(expired: (name: LimitName, limitMs: number) => void): TimeLimits {
  const timers = new Map<LimitName, NodeJS.Timeout>();
  const limits: TimeLimits = {
    start(name, limitMs) {
      limits.stop(name);
      const expire = () => {
        limits.stopAll();
        expired(name, limitMs);
      };
      timers.set(name, setTimeout(expire, limitMs));
    },
    touch(name) {
      timers.get(name)?.refresh();
    },
    stop(name) {
      clearTimeout(timers.get(name));
      timers.delete(name);
    },
    stopAll() {
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
    },
  };
  return limits;
}

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
