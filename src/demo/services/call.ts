/**
 * One request at a demo service and its answer. Owns the response: bodies go out in one piece with their length or
 * as a chunked stream, and the mid-answer faults break them where a real service would break.
 */
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Fault, SeenRequest } from './service.js';

export type Headers = Readonly<Record<string, string>>;

interface Manners {
  readonly headers: Headers;
  readonly sendsDate: boolean;
  readonly bodyLimitBytes: number;
}

export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge';
}

export class Call {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** We ourselves cut the connection: the client did not leave. */
  brokenByUs = false;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #manners: Manners;
  readonly #fault: () => Fault | null;
  readonly #left = new AbortController();

  constructor(
    req: IncomingMessage,
    res: ServerResponse,
    seen: SeenRequest,
    manners: Manners,
    fault: () => Fault | null,
  ) {
    this.#req = req;
    this.#res = res;
    this.#manners = manners;
    this.#fault = fault;
    this.method = seen.method;
    this.path = seen.path;
    this.query = new URLSearchParams(seen.query);
    this.headers = req.headers;
    res.sendDate = manners.sendsDate;
  }

  /** Aborts when the connection is gone, whoever closed it. */
  get signal(): AbortSignal {
    return this.#left.signal;
  }

  get socket(): IncomingMessage['socket'] {
    return this.#req.socket;
  }

  /** The fault that the service itself has to show. */
  get ownFault(): 'job-fails' | 'out-of-memory' | null {
    const fault = this.#fault();
    return fault === 'job-fails' || fault === 'out-of-memory' ? fault : null;
  }

  leave(): void {
    this.#left.abort(new Error('the client is gone'));
  }

  /** Reads to the end; what is beyond the limit is thrown away on the way, so that the client can read the answer. */
  async body(): Promise<Buffer> {
    const limit = this.#manners.bodyLimitBytes;
    const pieces: Buffer[] = [];
    let sizeBytes = 0;
    for await (const piece of this.#req) {
      const chunk = Buffer.from(piece);
      sizeBytes += chunk.length;
      if (sizeBytes <= limit) pieces.push(chunk);
      else pieces.length = 0;
    }
    if (sizeBytes > limit) throw new BodyTooLarge(`the body is larger than ${limit} bytes`);
    return Buffer.concat(pieces);
  }

  /** The whole answer at once, with its length. */
  async reply(status: number, headers: Headers, body: string | Buffer = ''): Promise<void> {
    const bytes = Buffer.from(body);
    this.#head(status, { 'Content-Length': String(bytes.length), ...headers });
    if (this.method === 'HEAD') {
      this.#res.end();
      return;
    }
    const fault = this.#fault();
    if (fault === 'reset-mid-answer' || fault === 'hang-mid-answer') {
      await this.#write(bytes.subarray(0, Math.ceil(bytes.length / 2)));
      await this.#breakMidAnswer();
    }
    this.#res.end(bytes);
    await this.#finished();
  }

  /** Opens a chunked answer; the status goes out at once. */
  startStream(status: number, headers: Headers): void {
    this.#head(status, headers);
    this.#res.flushHeaders();
  }

  async write(piece: string): Promise<void> {
    await this.#write(Buffer.from(piece));
    await this.#breakMidAnswer();
  }

  async end(): Promise<void> {
    this.#res.end();
    await this.#finished();
  }

  get begun(): boolean {
    return this.#res.headersSent;
  }

  /** Cuts the connection hard (RST). */
  reset(): void {
    this.brokenByUs = true;
    this.#req.socket.resetAndDestroy();
  }

  sayRaw(bytes: Buffer): void {
    this.brokenByUs = true;
    this.#req.socket.end(bytes);
  }

  #head(status: number, headers: Headers): void {
    this.#res.writeHead(status, { ...this.#manners.headers, ...headers });
  }

  async #write(bytes: Buffer): Promise<void> {
    this.signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      this.#res.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  async #finished(): Promise<void> {
    if (this.#res.writableFinished || this.signal.aborted) return;
    await Promise.race([once(this.#res, 'finish'), once(this.signal, 'abort')]);
  }

  async #breakMidAnswer(): Promise<void> {
    const fault = this.#fault();
    if (fault === 'reset-mid-answer') {
      this.reset();
      throw new Error('cut by the fault switch');
    }
    if (fault === 'hang-mid-answer' && !this.signal.aborted) {
      await once(this.signal, 'abort');
    }
    this.signal.throwIfAborted();
  }
}
