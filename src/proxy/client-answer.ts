/**
 * What the client of one request gets: the consumer's answer as it comes, or told in another API's words, piece by
 * piece or once it is whole; or, instead of it or in its middle, an error of ours. Owns the response from its head on.
 */
import type { IncomingMessage } from 'node:http';
import type { AnswerHead } from '../adapters/adapter.js';
import type { AnswerCourse, PieceTranslation } from '../adapters/translation.js';
import type { BrokerError } from '../errors.js';
import { sendError } from '../server/respond.js';
import { answerHeaders } from './headers.js';
import { Delivery } from './readahead.js';
import type { RelayDependencies, RelayOrder } from './relay-order.js';
import { CollectedAnswer } from './whole-answer.js';

/** Whose answer it is. */
export interface AnswerSource {
  /** The answer was paused, for its reader is too far behind, or goes on. */
  held(isHeld: boolean): void;
  /** What is known of the work at the service by now. */
  workId(): string | null;
}

/** What a translation found wrong with a complete answer, and what is still to be done where it was kept. */
export interface AnswerEnd {
  readonly complaint: string | null;
  readonly deliver: ((signal: AbortSignal) => Promise<void>) | null;
}

export class ClientAnswer {
  readonly #order: RelayOrder;
  readonly #dependencies: RelayDependencies;
  #delivery: Delivery | null = null;
  #pieces: PieceTranslation | null = null;
  #collected: CollectedAnswer | null = null;
  #deliver: ((signal: AbortSignal) => Promise<void>) | null = null;
  #ending: { readonly last: Buffer | null; readonly isBad: boolean } | null = null;

  constructor(order: RelayOrder, dependencies: RelayDependencies) {
    this.#order = order;
    this.#dependencies = dependencies;
  }

  /** The consumer's answer begins. Returns what Node has against its head; then nothing went out. */
  begin(answer: IncomingMessage, head: AnswerHead, added: readonly string[], source: AnswerSource): Error | null {
    const course = this.#order.translated?.translation.course(head) ?? { kind: 'as_it_is' };
    if (course.kind === 'whole') {
      this.#collect(course, head, added, source);
      return null;
    }
    try {
      this.#writeHead(answer, course, added);
    } catch (cause) {
      return cause instanceof Error ? cause : new Error(String(cause));
    }
    this.#pass(answer, course, source);
    return null;
  }

  /** False: it is longer than can be translated. */
  piece(chunk: Buffer): boolean {
    if (this.#collected !== null) return this.#collected.piece(chunk);
    const piece = this.#pieces === null ? chunk : this.#pieces.piece(chunk);
    if (piece !== null) this.#delivery?.piece(piece);
    return true;
  }

  /** The consumer's answer is complete; nothing of its end goes out before `close`. */
  end(): AnswerEnd {
    const ending = this.#pieces?.end() ?? null;
    const complaint = ending?.complaint ?? null;
    this.#ending = { last: ending?.last ?? null, isBad: complaint !== null };
    return { complaint, deliver: this.#deliver };
  }

  close(trailers: readonly string[]): void {
    if (this.#ending === null) return;
    const { last, isBad } = this.#ending;
    if (last !== null) this.#delivery?.piece(last);
    if (isBad) this.#delivery?.cut();
    else this.#delivery?.end(trailers);
  }

  /** It will not be complete: the client is told, or sees that it was cut. */
  breakOff(error: BrokerError): void {
    const { res } = this.#order.exchange;
    if (res.closed || res.destroyed) return;
    if (this.#delivery === null) {
      sendError(this.#order.exchange, error);
      return;
    }
    const last = this.#pieces?.broken(error) ?? null;
    if (last !== null) this.#delivery.piece(last);
    this.#delivery.cut();
  }

  /** What was kept is not wanted any more. */
  drop(): void {
    this.#collected?.release();
  }

  #collect(
    course: Extract<AnswerCourse, { kind: 'whole' }>,
    head: AnswerHead,
    headers: readonly string[],
    source: AnswerSource,
  ): void {
    const collected = new CollectedAnswer(course.mostBytes, this.#dependencies.memory);
    this.#collected = collected;
    this.#deliver = async (signal) => {
      try {
        await course.deliver({ head, body: collected.body(), headers, workId: source.workId() }, signal);
      } finally {
        collected.release();
      }
    };
  }

  #pass(answer: IncomingMessage, course: Exclude<AnswerCourse, { kind: 'whole' }>, source: AnswerSource): void {
    const { req, res } = this.#order.exchange;
    const isTranslated = course.kind === 'pieces';
    if (isTranslated) this.#pieces = course.translation;
    const { configuration, memory } = this.#dependencies;
    this.#delivery = new Delivery({
      req,
      res,
      source: answer,
      bufferBytes: configuration.current().limits.bufferBytes,
      memory,
      stallMs: this.#order.consumer.timeouts.runMs,
      endsWithConnection: (isTranslated || answer.headers['content-length'] === undefined) && req.httpVersion === '1.0',
      held: (isHeld) => source.held(isHeld),
    });
    // The head goes out in this tick, in one packet with what came with it.
    const { socket } = res;
    socket?.cork();
    process.nextTick(() => socket?.uncork());
    res.flushHeaders();
  }

  #writeHead(
    answer: IncomingMessage,
    course: Exclude<AnswerCourse, { kind: 'whole' }>,
    added: readonly string[],
  ): void {
    const { req, res } = this.#order.exchange;
    if (res.headersSent) return;
    const isChunked = answer.headers['transfer-encoding'] !== undefined && req.httpVersion !== '1.0';
    const headers = course.kind === 'pieces' ? [...course.headers] : answerHeaders(answer.rawHeaders, isChunked);
    for (const text of added) headers.push(text);
    if (!req.complete) headers.push('Connection', 'close');
    // Flat and raw: names keep their case, duplicates stay apart.
    if (course.kind === 'pieces') res.writeHead(course.status, headers);
    else res.writeHead(answer.statusCode ?? 0, answer.statusMessage ?? '', headers);
  }
}
