/**
 * What a browser needs before it lets a page of another origin ask us and read our answers (the Fetch standard's CORS
 * protocol). Which pages those are is said by `access.origins`, in `access.ts`. Keeps nothing.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
/** Beside the few that a page may always read: what SDKs show to their callers or go by. */
const READABLE =
  'X-Request-Id, X-MGPU-Job, X-MGPU-Consumer, X-MGPU-Error, Retry-After, X-Should-Retry, Server-Timing, Content-Range';
/** A change of the file counts for browsers that asked before after so long. */
const REMEMBERED_S = 600;

/** On every answer; a service's own headers of this kind are dropped on the way, so that there is one. */
export function openTo(origin: string, res: ServerResponse): void {
  res.setHeader('Access-Control-Allow-Origin', origin);
  res.setHeader('Access-Control-Expose-Headers', READABLE);
  res.appendHeader('Vary', 'Origin');
}

/** The browser asks by itself whether the page's request may be sent. */
export const isPreflight = ({ method, headers }: IncomingMessage): boolean =>
  method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;

/** `*` would not cover `Authorization`: what is asked for is said back. */
export function answerPreflight({ headers }: IncomingMessage, res: ServerResponse): void {
  res.setHeader('Access-Control-Allow-Methods', METHODS);
  const asked = headers['access-control-request-headers'];
  if (asked !== undefined) res.setHeader('Access-Control-Allow-Headers', asked);
  res.setHeader('Access-Control-Max-Age', String(REMEMBERED_S));
  res.setHeader('Cache-Control', 'no-store');
  res.writeHead(204).end();
}
