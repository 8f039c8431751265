/** The name of an answer, which clients show to people and the log has too. Keeps nothing. */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';

/** The SDKs of the OpenAI API show their callers this one header. A job puts its own id there. */
const HEADER = 'X-Request-Id';

/** The one that it has, or a new one. */
export function requestIdOf(res: ServerResponse): string {
  const known = res.getHeader(HEADER);
  if (typeof known === 'string') return known;
  const id = `req_${randomUUID().replaceAll('-', '').slice(0, 20)}`;
  if (!res.headersSent) res.setHeader(HEADER, id);
  return id;
}
