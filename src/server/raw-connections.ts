/**
 * What arrives on a connection and is no request Node would hand to a handler: garbage, headers without end, upgrades.
 * Keeps nothing.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { BrokerError } from '../errors.js';
import type { Log } from '../runtime/ports.js';
import type { Connections } from './connections.js';
import { rawErrorAnswer } from './respond.js';

/** How long a refused client may take to read why. */
const PARTING_MS = 1000;

/** Errors of the parser and its timer that are worth another status than 400. */
const STATUS_OF_ERROR: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** Says on the bare socket what was wrong with the request, unless an answer is on its way there already. */
export function answerClientError(error: Error, socket: Duplex, connections: Connections, log: Log): void {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code === 'ECONNRESET' || code === 'EPIPE' || !socket.writable || connections.isMidAnswer(socket)) {
    socket.destroy();
    return;
  }
  const status = STATUS_OF_ERROR[code] ?? 400;
  log.debug({ err: error, status }, 'a connection sent no valid request');
  part(socket, new BrokerError('bad_request', describe(error, status)), status);
}

function describe(error: Error, status: number): string {
  if (status === 431) return 'the header block is larger than 16 KiB';
  if (status === 408) return 'the request headers did not arrive in time';
  return `this is not a valid HTTP/1.1 request: ${error.message}`;
}

/** What `take` throws is answered on the socket. */
export function takeUpgrade(socket: Duplex, connections: Connections, log: Log, take: () => void): void {
  connections.upgraded(socket);
  // Node took its own listener away; a reset of an upgraded connection is no reason to crash.
  socket.on('error', (error) => {
    log.debug({ err: error }, 'an upgraded connection broke');
    socket.destroy();
  });
  try {
    take();
  } catch (error) {
    if (!(error instanceof BrokerError)) log.error({ err: error }, 'an upgrade failed');
    part(
      socket,
      error instanceof BrokerError ? error : new BrokerError('internal', 'the upgrade failed in the broker'),
    );
  }
}

function part(socket: Duplex, error: BrokerError, status: number = error.status): void {
  const cut = setTimeout(() => socket.destroy(), PARTING_MS);
  socket.once('close', () => clearTimeout(cut));
  socket.end(rawErrorAnswer(error, status));
  socket.resume();
}

export function isWebsocket(req: IncomingMessage): boolean {
  const offered = (req.headers.upgrade ?? '').toLowerCase().split(',');
  return offered.some((protocol) => protocol.trim() === 'websocket');
}

/**
 * An upgrade to anything but a websocket is an offer that a server may leave (RFC 9110, section 7.8); Java's client
 * makes one (`h2c`) with every request, bodies included. Node has no way to decline, so the request goes back into the
 * connection without the offer and is read again.
 */
export function declineUpgrade(server: Server, req: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${req.method ?? 'GET'} ${req.url ?? '/'} HTTP/${req.httpVersion}`];
  for (let at = 0; at + 1 < req.rawHeaders.length; at += 2) {
    const name = req.rawHeaders[at] ?? '';
    const value = withoutOffer(name, req.rawHeaders[at + 1] ?? '');
    if (value !== null) lines.push(`${name}: ${value}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}

const OFFER = new Set(['upgrade', 'http2-settings']);

function withoutOffer(name: string, value: string): string | null {
  const lower = name.toLowerCase();
  if (OFFER.has(lower)) return null;
  if (lower !== 'connection') return value;
  const kept = value.split(',').filter((token) => !OFFER.has(token.trim().toLowerCase()));
  return kept.length === 0 ? null : kept.join(',').trim();
}
