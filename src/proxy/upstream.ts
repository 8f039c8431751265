/**
 * One request to a consumer: connects, sends the body, hands the answer over as it begins. Owns the pool of idle
 * connections. Sends a request a second time only where it is certain that the service has not begun with it.
 */
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { HeldBody } from '../adapters/translation.js';
import type { ConsumerConfiguration } from '../config/configuration.js';
import { originOf } from './origin.js';

/**
 * Services close idle connections when they like, most of them without a word, some after less than a second. A POST
 * that meets such a close cannot be sent again: nobody knows whether it was begun. So a connection is used again only
 * while it is warm, which is what a busy broker needs; a new one costs 0.1 ms, and a job takes 10 ms or more.
 */
const WARM_MS = 50;

export interface UpstreamRequest {
  readonly consumer: ConsumerConfiguration;
  readonly method: string;
  /** Path and query, as the service sees them below its `url`. */
  readonly path: string;
  readonly headers: readonly string[];
  /** A request of our client's: its body goes through as it comes. */
  readonly body: HeldBody | IncomingMessage | null;
}

export interface UpstreamEvents {
  /** A connection is there; the request goes out. */
  connected(): void;
  answered(answer: IncomingMessage): void;
  /** Before an answer began, or in the middle of one. */
  failed(error: Error): void;
}

export interface UpstreamCall {
  /** The connection is closed at once, whatever it is doing; no event follows. */
  destroy(): void;
  /** All of the request was handed over. */
  isSent(): boolean;
}

export interface Upstreams {
  send(asked: UpstreamRequest, events: UpstreamEvents): UpstreamCall;
  close(): void;
}

/** The body was taken in well and cannot be read back from disk. */
export class BodyUnreadable extends Error {
  override readonly name = 'BodyUnreadable';
}

export function createUpstreams(): Upstreams {
  const agent = new Agent({ keepAlive: true, timeout: WARM_MS, scheduling: 'lifo' });

  function send(asked: UpstreamRequest, events: UpstreamEvents): UpstreamCall {
    let current: ClientRequest | null = null;
    let destroyed = false;

    function start(from: Agent | false, retry: (() => void) | null): void {
      if (destroyed) return;
      try {
        current = attempt(asked, from, events, retry);
      } catch (error) {
        // Node refuses to write what is no valid request; the caller gets to know once it has our return value.
        const cause = error instanceof Error ? error : new Error(String(error));
        process.nextTick(() => destroyed || events.failed(cause));
      }
    }

    start(agent, () => start(false, null));
    return {
      destroy() {
        destroyed = true;
        current?.destroy();
      },
      isSent: () => current?.writableFinished === true,
    };
  }

  return { send, close: () => agent.destroy() };
}

function attempt(
  asked: UpstreamRequest,
  agent: Agent | false,
  events: UpstreamEvents,
  retry: (() => void) | null,
): ClientRequest {
  const { host, port, prefix } = originOf(asked.consumer);
  const req = request({
    host,
    port,
    method: asked.method,
    path: prefix + asked.path,
    headers: asked.headers,
    agent,
  });
  let answer: IncomingMessage | null = null;
  let failed = false;
  // `on` for what happens once per request: `once` costs a wrapper and a removal each time.
  req.on('socket', (socket) => {
    if (socket.connecting) socket.once('connect', events.connected);
    else events.connected();
  });
  req.on('response', (came: IncomingMessage) => {
    answer = came;
    // llama-server (b10573) closes a connection after its second stream without having said so.
    if (came.headers['content-type']?.startsWith('text/event-stream')) req.shouldKeepAlive = false;
    // A broken connection in mid-answer. Its twin on the request comes first where a read failed: an answer that ends
    // with its connection would otherwise be ended cleanly by Node a moment later.
    came.on('error', events.failed);
    events.answered(came);
  });
  req.on('error', (error: Error) => {
    failed = true;
    // The answer is here, whole: that its connection breaks afterwards, or that the service did not want the rest of
    // the body, takes nothing away.
    if (answer?.complete === true) return;
    if (answer !== null) events.failed(error);
    else if (retry !== null && req.reusedSocket && hasNotBegun(error, asked)) retry();
    else events.failed(error);
  });
  // Node says nothing else of a service that switches protocols without having been asked.
  req.on('close', () => {
    if (answer === null && !failed) events.failed(Object.assign(new Error('no answer'), { code: 'ECONNRESET' }));
  });
  sendBody(req, asked.body);
  return req;
}

const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Only asked for a connection that was used before. */
function hasNotBegun(error: Error, { method, body }: UpstreamRequest): boolean {
  const { code, syscall } = systemError(error);
  if (code !== 'ECONNRESET' && code !== 'EPIPE') return false;
  // RFC 9110, section 9.2.2: whoever asks twice for what only reads does no harm.
  if (IDEMPOTENT.has(method) && body === null) return true;
  // The system refused to take the request: not all of it can be there. A read that fails proves nothing.
  return syscall === 'write' && (body === null || ('inMemory' in body && body.inMemory !== null));
}

export function systemError(error: Error): { readonly code: string | null; readonly syscall: string | null } {
  return {
    code: 'code' in error && typeof error.code === 'string' ? error.code : null,
    syscall: 'syscall' in error && typeof error.syscall === 'string' ? error.syscall : null,
  };
}

function sendBody(req: ClientRequest, body: UpstreamRequest['body']): void {
  if (body === null) req.end();
  else if (!('inMemory' in body)) body.pipe(req);
  else if (body.inMemory !== null) req.end(body.inMemory);
  else {
    sendFromDisk(req, body).catch((error: unknown) => {
      req.destroy(new BodyUnreadable('the request body could not be read back from disk', { cause: error }));
    });
  }
}

async function sendFromDisk(req: ClientRequest, body: HeldBody): Promise<void> {
  for await (const piece of body.read()) {
    if (req.destroyed) return;
    await written(req, piece);
  }
  req.end();
}

/** The kernel has it, or nobody will: its bytes may be overwritten. */
function written(req: ClientRequest, piece: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      req.off('close', go);
      resolve();
    };
    req.once('close', go);
    req.write(piece, go);
  });
}
