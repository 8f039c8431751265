/**
 * Hands the pieces of an answer to its reader: each in the tick it came, as long as the reader keeps up; what it has
 * not taken yet is read ahead, up to a limit, so that the consumer is done soon. Owns that backlog and the end of the
 * response: a clean one, or one that shows that something is missing.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Backlog } from './backlog.js';
import type { Budget } from './budget.js';

export interface DeliveryOptions {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Paused while the reader is too far behind. */
  readonly source: IncomingMessage;
  /** Read-ahead for this answer. */
  readonly bufferBytes: number;
  /** Read-ahead and bodies of everybody. */
  readonly memory: Budget;
  /** A reader that takes nothing for so long is cut off. */
  readonly stallMs: number;
  /** Whether the end of the answer is told by the connection alone: only a reset shows that it is early. */
  readonly endsWithConnection: boolean;
  /** The source was paused or goes on: its silence is ours. */
  readonly held: (isHeld: boolean) => void;
}

/** How long we listen to a body that nobody reads any more, so that its sender gets to see the answer's end. */
const LINGER_MS = 2000;

export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #backlog = new Backlog();
  /** Pieces given to the response that the system has not taken. */
  #unflushed = 0;
  #isReaderBehind = false;
  #isSourceHeld = false;
  #ending: { readonly trailers: readonly string[] } | 'cut' | null = null;
  #stall: NodeJS.Timeout | null = null;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    options.res.on('drain', this.#onDrain);
    options.res.on('close', this.#onClose);
  }

  piece(chunk: Buffer): void {
    if (this.#options.res.destroyed) return;
    if (!this.#isReaderBehind) {
      this.#write(chunk, this.#onFlushed);
      return;
    }
    this.#backlog.push(chunk);
    const hasRoom = this.#options.memory.hold(chunk.length);
    if (!hasRoom || this.#backlog.sizeBytes >= this.#options.bufferBytes) this.#holdSource(true);
  }

  /** The answer is complete: its end goes out behind the backlog. */
  end(trailers: readonly string[]): void {
    this.#ending = { trailers };
    this.#settle();
  }

  /** The answer will stay incomplete: what came goes out, then the connection breaks. */
  cut(): void {
    this.#ending = 'cut';
    this.#settle();
  }

  #write(chunk: Buffer, flushed: () => void): void {
    this.#unflushed += 1;
    if (this.#options.res.write(chunk, flushed)) return;
    this.#isReaderBehind = true;
    const { stallMs, res } = this.#options;
    this.#stall ??= setTimeout(() => res.destroy(), stallMs);
  }

  readonly #onFlushed = (): void => {
    this.#unflushed -= 1;
    if (this.#ending !== null) this.#settle();
  };

  readonly #onDrain = (): void => {
    this.#isReaderBehind = false;
    this.#clearStall();
    while (!this.#isReaderBehind) {
      const piece = this.#backlog.shift();
      if (piece === null) break;
      this.#options.memory.give(piece.bytes.length);
      this.#write(piece.bytes, () => {
        piece.flushed();
        this.#onFlushed();
      });
    }
    if (this.#isSourceHeld && this.#mayReadOn()) this.#holdSource(false);
    if (this.#ending !== null) this.#settle();
  };

  #mayReadOn(): boolean {
    if (this.#backlog.sizeBytes === 0) return true;
    return this.#backlog.sizeBytes * 2 <= this.#options.bufferBytes && this.#options.memory.hold(0);
  }

  #holdSource(isHeld: boolean): void {
    if (isHeld === this.#isSourceHeld) return;
    this.#isSourceHeld = isHeld;
    if (isHeld) this.#options.source.pause();
    else this.#options.source.resume();
    this.#options.held(isHeld);
  }

  #settle(): void {
    if (this.#backlog.sizeBytes > 0 || this.#ending === null) return;
    const ending = this.#ending;
    if (ending === 'cut' && this.#unflushed > 0) return;
    this.#ending = null;
    if (ending === 'cut') this.#break();
    else this.#finish(ending.trailers);
  }

  #finish(trailers: readonly string[]): void {
    const { req, res } = this.#options;
    if (res.writableEnded || res.destroyed) return;
    if (trailers.length > 0) res.addTrailers(inPairs(trailers));
    if (req.complete) res.end();
    else endAfterBody(req, res);
  }

  #break(): void {
    const { res, endsWithConnection } = this.#options;
    if (endsWithConnection) res.socket?.resetAndDestroy();
    else res.destroy();
  }

  readonly #onClose = (): void => {
    this.#clearStall();
    this.#options.memory.give(this.#backlog.sizeBytes);
    this.#backlog.clear();
  };

  #clearStall(): void {
    if (this.#stall !== null) clearTimeout(this.#stall);
    this.#stall = null;
  }
}

function inPairs(raw: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) pairs.push([raw[at] ?? '', raw[at + 1] ?? '']);
  return pairs;
}

/**
 * The answer came before the request body was read. Closing now would make the system reset the connection, and the
 * client could lose what it has not read of the answer.
 */
function endAfterBody(req: IncomingMessage, res: ServerResponse): void {
  const end = () => {
    clearTimeout(timer);
    if (!res.writableEnded) res.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  req.once('end', end).once('close', end);
  req.resume();
}
