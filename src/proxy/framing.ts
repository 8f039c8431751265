/** How the body of a request goes on to its consumer. Keeps nothing. */
import type { RelayOrder } from './relay-order.js';

/** Methods for which the absence of both framing headers is usual; all others say a length, even of nothing. */
const OFTEN_WITHOUT_BODY = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']);

export function framingOf({ body, translated, exchange: { req } }: RelayOrder): number | 'chunked' | null {
  if (translated !== undefined && body !== 'live') return body?.sizeBytes ?? 0;
  const length = req.headers['content-length'];
  const isChunked = req.headers['transfer-encoding'] !== undefined;
  if (length === undefined && !isChunked) return OFTEN_WITHOUT_BODY.has(req.method ?? '') ? null : 0;
  if (body === 'live') return isChunked ? 'chunked' : Number(length);
  return body?.sizeBytes ?? 0;
}
