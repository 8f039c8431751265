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
const OURS = new Set(['host', 'via', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']);
/** Set by us on answers; what a service says under these names would be taken for ours. */
const OURS_IN_ANSWERS = new Set(['x-mgpu-job', 'x-mgpu-consumer']);

/** llama-server goes on generating after its client left when this is set; a job must end with its client. */
const SURVIVES_ITS_CLIENT = 'x-conversation-id';

type Pair = readonly [name: string, value: string, lower: string];

function* pairsOf(raw: readonly string[]): Generator<Pair> {
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? '';
    yield [name, raw[at + 1] ?? '', name.toLowerCase()];
  }
}

/** The names that a `Connection` header declares to be for this connection only; lower-case. */
function namedByConnection(raw: readonly string[]): ReadonlySet<string> | null {
  let named: Set<string> | null = null;
  for (const [, value, lower] of pairsOf(raw)) {
    if (lower !== 'connection') continue;
    named ??= new Set();
    for (const token of value.split(',')) named.add(token.trim().toLowerCase());
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
}

/** For the service: the caller's end-to-end headers, ours, and those that the configuration adds. */
export function requestHeaders(exchange: Exchange | Omit<Exchange, 'res'>, options: RequestHeaderOptions): string[] {
  const { consumer, isJob, framing } = options;
  const raw = exchange.req.rawHeaders;
  const named = namedByConnection(raw);
  const configured = new Set(Object.keys(consumer.headers).map((name) => name.toLowerCase()));
  const headers = ['Host', originOf(consumer).authority];
  let via = '';
  for (const [name, value, lower] of pairsOf(raw)) {
    if (lower === 'via') via += `${value}, `;
    if (isHopByHop(lower, named) || FOR_US_ONLY.has(lower) || OURS.has(lower) || configured.has(lower)) continue;
    if (lower.startsWith('sec-fetch-') || lower === 'content-length') continue;
    if (isJob && lower === SURVIVES_ITS_CLIENT) continue;
    headers.push(name, value);
  }
  if (framing === 'chunked') headers.push('Transfer-Encoding', 'chunked');
  else if (framing !== null) headers.push('Content-Length', String(framing));
  headers.push(...forwarded(exchange), 'Via', `${via}${exchange.req.httpVersion} mgpumanager`);
  for (const [name, value] of Object.entries(consumer.headers)) headers.push(name, value);
  return headers;
}

/** Where the caller's address came from a front proxy that we believe, so do the scheme and the host it was asked for. */
function forwarded({ req, caller }: Pick<Exchange, 'req' | 'caller'>): string[] {
  const chain = req.headers['x-forwarded-for'];
  const last = (typeof chain === 'string' ? chain : '').split(',').at(-1)?.trim();
  const throughProxy = last === caller.address;
  const proto = throughProxy ? req.headers['x-forwarded-proto'] : undefined;
  const host = throughProxy ? req.headers['x-forwarded-host'] : undefined;
  return [
    ...['X-Forwarded-For', caller.address],
    ...['X-Forwarded-Proto', proto === 'https' ? 'https' : 'http'],
    ...['X-Forwarded-Host', typeof host === 'string' ? host : (req.headers.host ?? '')],
  ];
}

/** For the client. `keepTrailer`: the announcement of trailers, which only a chunked answer can carry. */
export function answerHeaders(raw: readonly string[], keepTrailer: boolean): string[] {
  const named = namedByConnection(raw);
  const headers: string[] = [];
  for (const [name, value, lower] of pairsOf(raw)) {
    if (lower === 'trailer' && keepTrailer) headers.push(name, value);
    if (!isHopByHop(lower, named) && !OURS_IN_ANSWERS.has(lower)) headers.push(name, value);
  }
  return headers;
}

/** For a connection upgrade: as `requestHeaders`, with the two headers that make it one. */
export function upgradeHeaders(exchange: Omit<Exchange, 'res'>, consumer: ConsumerConfiguration): string[] {
  const headers = requestHeaders(exchange, { consumer, isJob: false, framing: null });
  return [...headers, 'Connection', 'Upgrade', 'Upgrade', exchange.req.headers.upgrade ?? 'websocket'];
}
