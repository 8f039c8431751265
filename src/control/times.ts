/** The core's moments as people and programs read them: ISO 8601 in UTC, whole milliseconds. Unknown stays null. */
import type { MonotonicMs } from '../core/vocabulary.js';
import type { Clock } from '../runtime/ports.js';

export function isoTime(clock: Clock, at: MonotonicMs): string {
  return new Date(clock.wallOf(at)).toISOString();
}

export function isoTimeOrNull(clock: Clock, at: MonotonicMs | null): string | null {
  return at === null ? null : isoTime(clock, at);
}

export function wholeMs(ms: number): number {
  return Math.round(ms);
}

export function wholeMsOrNull(ms: number | null): number | null {
  return ms === null ? null : wholeMs(ms);
}
