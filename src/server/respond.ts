/**
 * Our own answers: their headers, their end, and what becomes of a request body that nobody will read. Keeps nothing.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { BrokerError } from '../errors.js';
import type { Exchange } from './exchange.js';

type Answerable = Pick<Exchange, 'req' | 'res' | 'expectsContinue'>;

const JSON_TYPE = 'application/json; charset=utf-8';
/** How long we listen to a body that nobody wants, so that its sender gets to read our answer. */
const LINGER_MS = 2000;

/** Section 6's shape: the body where no service's own clients must be able to parse it. */
export function plainErrorBody(error: BrokerError): { contentType: string; body: string } {
  return { contentType: JSON_TYPE, body: JSON.stringify(error) };
}

export function sendJson(exchange: Answerable, status: number, value: unknown): void {
  sendText(exchange, status, JSON_TYPE, `${JSON.stringify(value)}\n`);
}

/** `status`: where the protocol's own status says more than the code's (408, 417, 431). */
export function sendError(
  exchange: Answerable & Pick<Exchange, 'errorBody' | 'breakOff'>,
  error: BrokerError,
  status: number = error.status,
): void {
  if (exchange.res.headersSent && exchange.breakOff !== undefined) {
    exchange.breakOff(error);
    return;
  }
  const { contentType, body } = exchange.errorBody(error);
  sendText(exchange, status, contentType, body, error.responseHeaders());
}

/** An answer that has begun cannot be taken back: its connection is cut, so that it does not look complete. */
export function sendText(
  exchange: Answerable,
  status: number,
  contentType: string,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const { req, res } = exchange;
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const body = Buffer.from(text);
  const unread = !req.complete && announcesBody(req);
  res.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    ...headers,
    ...(unread ? { Connection: 'close' } : {}),
  });
  if (req.method === 'HEAD') res.end();
  else if (unread && !isHeldBack(exchange)) endAfterBody(exchange, body);
  else res.end(body);
}

function announcesBody(req: IncomingMessage): boolean {
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
}

/** The client waits for `100 Continue` before it sends anything. */
function isHeldBack({ req, expectsContinue }: Answerable): boolean {
  return expectsContinue && !req.readableDidRead;
}

/**
 * Closing while bytes still come in makes the kernel send a reset, which takes our answer away from the client before
 * it was read. So the answer goes out whole, and its end waits until the client has seen it, for a bounded time.
 */
function endAfterBody({ req, res }: Answerable, body: Buffer): void {
  res.write(body);
  const end = () => {
    clearTimeout(timer);
    if (!res.writableEnded) res.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  req.once('end', end);
  req.once('close', end);
  req.resume();
}

/** An answer on a bare socket, where Node has no response object to offer; the connection closes after it. */
export function rawErrorAnswer(error: BrokerError, status: number = error.status): string {
  const { contentType, body } = plainErrorBody(error);
  const headers = Object.entries({
    ...error.responseHeaders(),
    'Content-Type': contentType,
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    Connection: 'close',
  });
  const lines = headers.map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines, '', body].join('\r\n');
}
