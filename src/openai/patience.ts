/** How long a client has said that it waits. Keeps nothing. */
import type { IncomingMessage } from 'node:http';

/** An answer of ours must arrive before the client gives up; it gets a tenth of the time for that, a second at most. */
const SHARE = 0.1;
const MOST_SPARED_MS = 1000;
const LONGEST_S = 24 * 3600;

/**
 * `X-Stainless-Timeout` of the official SDKs, in seconds, for the whole answer; `X-Stainless-Read-Timeout` of the one
 * for Python, between two bytes, so only where nothing comes before the answer. null: it did not say.
 */
export function patienceOf({ headers }: Pick<IncomingMessage, 'headers'>, streams: boolean): number | null {
  const said = headers['x-stainless-timeout'] ?? (streams ? undefined : headers['x-stainless-read-timeout']);
  const seconds = typeof said === 'string' && /^\d+(\.\d+)?$/.test(said) ? Number(said) : 0;
  if (seconds <= 0 || seconds > LONGEST_S) return null;
  const allMs = seconds * 1000;
  return Math.round(allMs - Math.min(MOST_SPARED_MS, allMs * SHARE));
}
