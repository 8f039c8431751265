/**
 * One harmless GET on a socket of its own, with a limit on time and on size: what health probes and `discover` ask
 * with. Owns the socket until the promise settles, then it is gone. Follows no redirect, keeps nothing, never rejects.
 */
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';

/** More than this of a body is not read. */
const LARGEST_BODY_BYTES = 64 * 1024;
/** The time is counted in parts: a pause of this process uses up one of them, and cannot look like a silent service. */
const TIME_PARTS = 4;

export interface GetRequest {
  /** `http://host:port` with a path prefix or none. */
  readonly url: string;
  /** Put behind the prefix; may carry a query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** For the whole of it: finding the host, connecting, and the answer to its last byte. */
  readonly timeoutMs: number;
  /** Aborts: settles as failed, the socket is destroyed. */
  readonly signal?: AbortSignal;
}

/** `cut`: the connection broke; `long`: more than 64 KiB; `late`: the time was up. */
export type Missing = 'cut' | 'long' | 'late';

export type GetEnd =
  /** The head came; `body` is what came of the rest, up to 64 KiB. */
  | {
      readonly type: 'answered';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: string;
      /** Why the body is not all there; null: it is. */
      readonly missing: Missing | null;
    }
  | { readonly type: 'timed_out'; readonly error: string }
  /** `code` of the system or of the parser, such as ECONNREFUSED. */
  | { readonly type: 'failed'; readonly code: string; readonly error: string };

export function boundedGet(asked: GetRequest): Promise<GetEnd> {
  const place = placeOf(asked.url);
  return new Promise((resolve) => {
    let connected = false;
    let answer: Answer | null = null;
    const { hostname, port, pathname } = new URL(asked.url);
    const req = request({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? 80 : Number(port),
      path: pathname.replace(/\/$/, '') + asked.path,
      headers: { accept: '*/*', 'user-agent': 'mgpumanager', ...asked.headers },
      // A socket of its own, closed after the answer: a probe that hangs holds up no other, and none is left idle.
      agent: false,
    });
    let result: GetEnd | null = null;
    const end = (ending: GetEnd) => {
      // The first word counts: destroying the request brings more of them.
      result ??= ending;
      clearTimeout(timer);
      asked.signal?.removeEventListener('abort', abort);
      req.destroy();
    };
    const abort = () => end({ type: 'failed', code: 'ABORTED', error: `given up on ${place}` });
    let partsLeft = TIME_PARTS;
    const passPart = () => {
      partsLeft -= 1;
      if (partsLeft > 0) timer = setTimeout(passPart, asked.timeoutMs / TIME_PARTS);
      else if (answer !== null) end(answer.soFar('late'));
      else end({ type: 'timed_out', error: lateText(place, asked, connected) });
    };
    let timer = setTimeout(passPart, asked.timeoutMs / TIME_PARTS);
    asked.signal?.addEventListener('abort', abort);
    req.on('socket', (socket) => socket.once('connect', () => (connected = true)));
    req.on('response', (res) => {
      answer = collect(res, end);
    });
    req.on('error', (error: NodeJS.ErrnoException) => end(answer?.soFar('cut') ?? failure(error, place)));
    req.on('close', () => {
      // A switch to another protocol (101) is no answer to a GET; Node closes it without an error.
      end(answer?.soFar('cut') ?? brokenOff(place));
      if (result !== null) resolve(result);
    });
    if (asked.signal?.aborted === true) abort();
    else req.end();
  });
}

interface Answer {
  soFar(missing: Missing | null): GetEnd;
}

function collect(res: IncomingMessage, end: (result: GetEnd) => void): Answer {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  const soFar = (missing: Missing | null): GetEnd => ({
    type: 'answered',
    status: res.statusCode ?? 0,
    headers: res.headers,
    body: Buffer.concat(chunks).subarray(0, LARGEST_BODY_BYTES).toString('utf8'),
    missing,
  });
  res.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > LARGEST_BODY_BYTES) end(soFar('long'));
  });
  res.on('end', () => end(soFar(res.complete ? null : 'cut')));
  // A cut body: the head had come, so that is what there is.
  res.on('error', () => end(soFar('cut')));
  return { soFar };
}

/** `127.0.0.1:8178`, with the port even where the address leaves it out. */
function placeOf(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port === '' ? '80' : port}`;
}

const secondsOf = (ms: number): string => (ms < 1000 ? `${ms} ms` : `${Math.round(ms / 100) / 10} s`);

function lateText(place: string, { path, timeoutMs }: GetRequest, connected: boolean): string {
  const within = `within ${secondsOf(timeoutMs)}`;
  return connected ? `no answer to GET ${path} ${within} at ${place}` : `no connection ${within} to ${place}`;
}

const brokenOff = (place: string): GetEnd => ({
  type: 'failed',
  code: 'ECONNRESET',
  error: `the connection was closed without an answer at ${place}`,
});

/** What the usual errors mean; Linux names (errno(3)), and those of getaddrinfo(3). */
const MEANINGS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused at',
  EHOSTUNREACH: 'no route to',
  ENETUNREACH: 'no route to',
  ENOTFOUND: 'the host name is not known:',
  EAI_AGAIN: 'the host name cannot be looked up now:',
  EMFILE: 'too many open files here, so no connection to',
};

function failure(error: NodeJS.ErrnoException, place: string): GetEnd {
  const code = error.code ?? error.name;
  // The system gave up connecting before our own limit: the same as our own limit.
  if (code === 'ETIMEDOUT') return { type: 'timed_out', error: `no connection to ${place}` };
  if (code === 'ECONNRESET' || code === 'EPIPE') return brokenOff(place);
  if (code.startsWith('HPE_')) return { type: 'failed', code, error: `the answer is not HTTP at ${place} (${code})` };
  const meaning = MEANINGS[code];
  const text = meaning === undefined ? `${error.message || code} at ${place}` : `${meaning} ${place}`;
  return { type: 'failed', code, error: text };
}
