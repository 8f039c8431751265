/**
 * Which headers go on, in both directions. Works on raw headers (name, value, name, value, …), so that case, order
 * and duplicates survive. Keeps nothing.
 */
import type { ConsumerConfiguration } from '../config/configuration.js';
import type { Exchange } from '../server/exchange.js';
import { originOf } from './origin.js';

/** Meant for one connection only (RFC 9110, section 7.6.1), beside all that `Connection` names and `Proxy-*`. */
const HOP_BY_HOP = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What a caller says to us and no service behind needs to know. `Expect` is answered here. */
const FOR_US_ONLY = new Set(['authorization', 'cookie', 'x-api-key', 'origin', 'expect']);
/** Written anew by us. */
const OURS = new Set(['host', 'content-length', 'via', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']);
/** Set by us on answers; what a service says under these names would be taken for ours. */
const OURS_IN_ANSWERS = new Set(['x-mgpu-job', 'x-mgpu-consumer']);
/** Which pages may read answers is for `access.origins` to say; some services open themselves to every page. */
const FOR_PAGES = 'access-control-';

/** llama-server goes on generating after its client left when this is set; a job must end with its client. */
const SURVIVES_ITS_CLIENT = 'x-conversation-id';

/** The names that a `Connection` header declares to be for this connection only; lower-case. */
function namedByConnection(raw: readonly string[]): ReadonlySet<string> | null {
  let named: Set<string> | null = null;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (raw[at]?.toLowerCase() !== 'connection') continue;
    named ??= new Set();
    for (const token of (raw[at + 1] ?? '').split(',')) named.add(token.trim().toLowerCase());
  }
  return named;
}

function isHopByHop(lower: string, named: ReadonlySet<string> | null): boolean {
  if (HOP_BY_HOP.has(lower) || lower.startsWith('proxy-')) return true;
  // A length is never for one connection only, whatever `Connection` says: without it the body would be framed anew.
  return named?.has(lower) === true && lower !== 'content-length';
}

export interface RequestHeaderOptions {
  readonly consumer: ConsumerConfiguration;
  readonly isJob: boolean;
  /** How the body goes on: its size in bytes, `chunked`, or null where there is none. */
  readonly framing: number | 'chunked' | null;
  /** The answer will be read and translated: it must come without an encoding. Also replaces the body's type. */
  readonly translated?: { readonly contentType: string | null } | undefined;
}

/** For the service: the caller's end-to-end headers, ours, and those that the configuration adds. */
export function requestHeaders(exchange: Omit<Exchange, 'res'>, options: RequestHeaderOptions): string[] {
  const { consumer, isJob, framing, translated } = options;
  const { rawHeaders, httpVersion } = exchange.req;
  const named = namedByConnection(rawHeaders);
  const { authority, headers: configured } = originOf(consumer);
  const headers = ['Host', authority];
  let via = '';
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    const value = rawHeaders[at + 1] ?? '';
    const lower = name.toLowerCase();
    if (lower === 'via') via += `${value}, `;
    const isDropped = isHopByHop(lower, named) || FOR_US_ONLY.has(lower) || OURS.has(lower) || configured.has(lower);
    if (translated !== undefined && isReplaced(lower, translated.contentType)) continue;
    if (isDropped || lower.startsWith('sec-fetch-') || (isJob && lower === SURVIVES_ITS_CLIENT)) continue;
    headers.push(name, value);
  }
  if (translated !== undefined) headers.push('Accept-Encoding', 'identity');
  if (translated?.contentType != null) headers.push('Content-Type', translated.contentType);
  if (framing === 'chunked') headers.push('Transfer-Encoding', 'chunked');
  else if (framing !== null) headers.push('Content-Length', String(framing));
  addForwarded(headers, exchange);
  headers.push('Via', `${via}${httpVersion} mgpumanager`);
  for (const name in consumer.headers) headers.push(name, consumer.headers[name] ?? '');
  return headers;
}

const isReplaced = (lower: string, contentType: string | null): boolean =>
  lower === 'accept-encoding' || (lower === 'content-type' && contentType !== null);

/** Where the caller's address came from a front proxy that we believe, so do the scheme and the host it was asked for. */
function addForwarded(headers: string[], { req, caller }: Pick<Exchange, 'req' | 'caller'>): void {
  const chain = req.headers['x-forwarded-for'];
  const throughProxy = typeof chain === 'string' && chain.split(',').at(-1)?.trim() === caller.address;
  const proto = throughProxy ? req.headers['x-forwarded-proto'] : undefined;
  const host = throughProxy ? req.headers['x-forwarded-host'] : undefined;
  headers.push('X-Forwarded-For', caller.address, 'X-Forwarded-Proto', proto === 'https' ? 'https' : 'http');
  headers.push('X-Forwarded-Host', typeof host === 'string' ? host : (req.headers.host ?? ''));
}

/** For the client. `keepTrailer`: the announcement of trailers, which only a chunked answer can carry. */
export function answerHeaders(raw: readonly string[], keepTrailer: boolean): string[] {
  const named = namedByConnection(raw);
  const headers: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? '';
    const lower = name.toLowerCase();
    if (lower.startsWith(FOR_PAGES)) continue;
    const passes = lower === 'trailer' ? keepTrailer : !isHopByHop(lower, named) && !OURS_IN_ANSWERS.has(lower);
    if (passes) headers.push(name, raw[at + 1] ?? '');
  }
  return headers;
}

/** For a connection upgrade: as `requestHeaders`, with the two headers that make it one. */
export function upgradeHeaders(exchange: Omit<Exchange, 'res'>, consumer: ConsumerConfiguration): string[] {
  const headers = requestHeaders(exchange, { consumer, isJob: false, framing: null });
  return [...headers, 'Connection', 'Upgrade', 'Upgrade', exchange.req.headers.upgrade ?? 'websocket'];
}
