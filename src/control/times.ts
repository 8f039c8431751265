/** The core's moments as people and programs read them: ISO 8601 in UTC, whole milliseconds. Unknown stays null. */
import type { MonotonicMs } from '../core/vocabulary.js';
import type { Clock } from '../runtime/ports.js';

/** The moment written last: a job's moments are often the same millisecond, and writing one is dear (1 us). */
let written = { wallMs: 0, text: new Date(0).toISOString() };

export function isoTime(clock: Clock, at: MonotonicMs): string {
  const wallMs = Math.trunc(clock.wallOf(at));
  if (wallMs !== written.wallMs) written = { wallMs, text: new Date(wallMs).toISOString() };
  return written.text;
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
