/** A moment in local time, with UTC on hover. */
import { moment, timeWithSeconds, utc } from '../data/words.js';

export function Time({ at, now, seconds = false }: { at: number; now: number; seconds?: boolean }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={utc(at)}>
      {seconds ? timeWithSeconds(at) : moment(at, now)}
    </time>
  );
}
