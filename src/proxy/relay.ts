/**
 * One exchange between a client and a consumer: sends the request, passes the answer on as it comes, and settles once.
 * Owns the sockets of the running request. Knows nothing of queues and grants; who called it hears how it ended.
 */
import type { IncomingMessage } from 'node:http';
import type { AnswerHead, AnswerWatch } from '../adapters/adapter.js';
import type { AnswerCourse, HeldBody, PieceTranslation, Translation, WholeAnswer } from '../adapters/translation.js';
import type { ConsumerConfiguration } from '../config/configuration.js';
import type { JobId } from '../core/vocabulary.js';
import { BrokerError } from '../errors.js';
import type { ConfigurationPort, Log } from '../runtime/ports.js';
import type { Exchange } from '../server/exchange.js';
import { sendError } from '../server/respond.js';
import type { Budget } from './budget.js';
import { type Concerned, concernedOptions, failureOf, timeoutOf } from './failures.js';
import { framingOf } from './framing.js';
import { answerHeaders, requestHeaders } from './headers.js';
import { HeldAnswer } from './held-answer.js';
import { Delivery } from './readahead.js';
import { type LimitName, TimeLimits } from './time-limits.js';
import type { UpstreamCall, Upstreams } from './upstream.js';
import { CollectedAnswer } from './whole-answer.js';

export interface RelayDependencies {
  readonly upstreams: Upstreams;
  readonly configuration: ConfigurationPort;
  readonly memory: Budget;
  readonly log: Log;
}

export interface RelayOrder {
  readonly exchange: Exchange;
  readonly consumer: ConsumerConfiguration;
  /** Path and query, as the service sees them below its `url`. */
  readonly path: string;
  /** `live`: the client's body goes through as it comes. */
  readonly body: HeldBody | 'live' | null;
  readonly job: JobId | null;
  /** The request was made from another one, and its answer is told in that one's API. */
  readonly translated?: { readonly contentType: string | null; readonly translation: Translation };
  /** Whether this answer is looked at as a whole before any of it goes out. Absent: never. */
  readonly inspects?: (head: AnswerHead) => boolean;
  /** The whole of such an answer. True: it waits until `release`, `breakOff` or `discard`. */
  readonly inspected?: (head: AnswerHead, text: string) => boolean;
  /** The answer begins. Returns what is added to its headers, and who wants to see its pieces. */
  readonly answered: (head: AnswerHead) => { readonly headers: readonly string[]; readonly watch: AnswerWatch | null };
  /** The consumer's part is over; called once, before the client can see it, and not after `breakOff`. */
  readonly over: (end: RelayEnd) => void;
}

export type RelayEnd =
  | {
      readonly kind: 'complete';
      readonly head: AnswerHead;
      readonly watch: AnswerWatch | null;
      /** What a translation found wrong with it. */
      readonly complaint: string | null;
      /** The client has no answer yet: to be called once, when the work is over. */
      readonly deliver: ((signal: AbortSignal) => Promise<void>) | null;
    }
  | { readonly kind: 'failed'; readonly error: BrokerError }
  /** `begun: false`: the consumer cannot have begun with it. */
  | { readonly kind: 'timed_out'; readonly error: BrokerError; readonly begun: boolean };

type Phase = 'asking' | 'inspecting' | 'answering' | 'listening' | 'over';

export class Relay {
  readonly #order: RelayOrder;
  readonly #dependencies: RelayDependencies;
  readonly #concerned: Concerned;
  readonly #limits = new TimeLimits((name, limitMs) => this.#expire(name, limitMs));
  readonly #call: UpstreamCall;
  #phase: Phase = 'asking';
  #connected = false;
  #head: AnswerHead | null = null;
  #watch: AnswerWatch | null = null;
  #delivery: Delivery | null = null;
  #listened: (() => void) | null = null;
  #held: HeldAnswer | null = null;
  #answer: IncomingMessage | null = null;
  #pieces: PieceTranslation | null = null;
  #collected: CollectedAnswer | null = null;
  #deliver: ((body: Buffer, signal: AbortSignal) => Promise<void>) | null = null;

  constructor(order: RelayOrder, dependencies: RelayDependencies) {
    this.#order = order;
    this.#dependencies = dependencies;
    const { consumer, exchange, job, body, translated } = order;
    this.#concerned = { consumer, job };
    this.#startLimits();
    const live = body === 'live';
    if (live && exchange.expectsContinue) exchange.res.writeContinue();
    this.#call = dependencies.upstreams.send(
      {
        consumer,
        method: exchange.req.method ?? 'GET',
        path: order.path,
        headers: requestHeaders(exchange, {
          ...{ consumer, isJob: job !== null, framing: framingOf(order) },
          ...(translated === undefined ? {} : { translated }),
        }),
        body: live ? exchange.req : body,
      },
      {
        connected: () => this.#onConnected(),
        answered: (answer) => this.#onAnswer(answer),
        failed: (error) => this.#fail(failureOf(error, this.#concerned)),
      },
    );
  }

  /** What is known of the work at the service. */
  workId(): string | null {
    return this.#watch?.workId() ?? null;
  }

  /**
   * Ends it from our side: the client gets the error (or sees its answer cut), the consumer's connection is closed.
   * `listenMs`: the rest of the answer is listened to for so long before that, for the sake of `workId`.
   */
  async breakOff(error: BrokerError, listenMs: number): Promise<void> {
    if (this.#phase === 'over' || this.#phase === 'listening') return;
    this.#limits.stopAll();
    this.#collected?.release();
    const worthIt = listenMs > 0 && this.#connected;
    this.#phase = worthIt ? 'listening' : 'over';
    this.#tellClient(error);
    if (worthIt) await this.#listen(listenMs);
    this.#phase = 'over';
    this.#call.destroy();
  }

  #startLimits(): void {
    const { timeouts } = this.#order.consumer;
    this.#limits.start('connect', timeouts.connectMs);
    if (this.#order.job !== null) this.#limits.start('run', timeouts.runMs);
    if (this.#order.body !== 'live') return;
    this.#limits.start('upload', timeouts.uploadMs);
    this.#order.exchange.req.once('end', () => {
      this.#limits.stop('upload');
      if (this.#connected) this.#awaitAnswer();
    });
  }

  #onConnected(): void {
    this.#connected = true;
    this.#limits.stop('connect');
    const { body, exchange } = this.#order;
    if (body !== 'live' || exchange.req.complete) this.#awaitAnswer();
  }

  #awaitAnswer(): void {
    if (this.#phase !== 'asking') return;
    const { firstByteMs, runMs } = this.#order.consumer.timeouts;
    if (firstByteMs !== null) this.#limits.start('first_byte', firstByteMs);
    else if (this.#order.job === null) this.#limits.start('run', runMs);
  }

  #onAnswer(answer: IncomingMessage): void {
    if (this.#phase === 'over') return;
    const head = { status: answer.statusCode ?? 0, headers: answer.headers };
    this.#head = head;
    this.#answer = answer;
    answer.on('data', (chunk: Buffer) => this.#onPiece(chunk));
    answer.once('end', () => this.#onEnd(answer));
    if (this.#phase === 'asking' && this.#order.inspects?.(head) === true) {
      this.#phase = 'inspecting';
      this.#held = new HeldAnswer(() => this.release());
      this.#limits.stop('connect');
      this.#limits.stop('first_byte');
      return;
    }
    this.#startAnswer(answer, head);
  }

  /** What was held goes out, and the rest as it comes. */
  release(): void {
    if (this.#phase !== 'inspecting' || this.#answer === null || this.#head === null) return;
    this.#phase = 'asking';
    const pieces = this.#held?.release() ?? [];
    this.#held = null;
    this.#startAnswer(this.#answer, this.#head);
    for (const piece of pieces) this.#onPiece(piece);
    if (this.#answer.readableEnded) this.#onEnd(this.#answer);
  }

  /** What was held is forgotten; the job is sent again by another relay. */
  discard(): void {
    if (this.#phase !== 'inspecting') return;
    this.#held?.release();
    this.#phase = 'over';
    this.#limits.stopAll();
    this.#call.destroy();
  }

  #startAnswer(answer: IncomingMessage, head: AnswerHead): void {
    const { headers, watch } = this.#order.answered(head);
    this.#watch = watch;
    if (this.#phase !== 'asking') return;
    this.#phase = 'answering';
    this.#limits.stop('connect');
    this.#limits.stop('first_byte');
    if (this.#order.job === null) this.#limits.stop('run');
    this.#limits.start('idle', this.#order.consumer.timeouts.idleMs);
    const course = this.#order.translated?.translation.course(head) ?? { kind: 'as_it_is' };
    if (course.kind === 'whole') this.#collect(course, head, headers);
    else this.#beginAnswer(answer, course, headers);
  }

  #collect(course: Extract<AnswerCourse, { kind: 'whole' }>, head: AnswerHead, headers: readonly string[]): void {
    this.#collected = new CollectedAnswer(course.mostBytes, this.#dependencies.memory);
    this.#deliver = (body, signal) => {
      const answer: WholeAnswer = { head, body, headers, workId: this.workId() };
      return course.deliver(answer, signal);
    };
  }

  #writeHead(answer: IncomingMessage, course: AnswerCourse, added: readonly string[]): boolean {
    const { req, res } = this.#order.exchange;
    if (res.headersSent) return true;
    const isChunked = answer.headers['transfer-encoding'] !== undefined && req.httpVersion !== '1.0';
    const isTranslated = course.kind === 'pieces';
    const headers = isTranslated ? [...course.headers] : answerHeaders(answer.rawHeaders, isChunked);
    for (const text of added) headers.push(text);
    if (!req.complete) headers.push('Connection', 'close');
    try {
      // Flat and raw: names keep their case, duplicates stay apart.
      if (isTranslated) res.writeHead(course.status, headers);
      else res.writeHead(answer.statusCode ?? 0, answer.statusMessage ?? '', headers);
      return true;
    } catch (cause) {
      this.#fail(failureOf(cause instanceof Error ? cause : new Error(String(cause)), this.#concerned));
      return false;
    }
  }

  #beginAnswer(
    answer: IncomingMessage,
    course: Exclude<AnswerCourse, { kind: 'whole' }>,
    added: readonly string[],
  ): void {
    const { req, res } = this.#order.exchange;
    if (!this.#writeHead(answer, course, added)) return;
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
      held: (isHeld) => this.#onSourceHeld(isHeld),
    });
    // The head goes out in this tick, in one packet with what came with it.
    const { socket } = res;
    socket?.cork();
    process.nextTick(() => socket?.uncork());
    res.flushHeaders();
  }

  #onSourceHeld(isHeld: boolean): void {
    if (this.#phase !== 'answering') return;
    if (isHeld) this.#limits.stop('idle');
    else this.#limits.start('idle', this.#order.consumer.timeouts.idleMs);
  }

  #onPiece(chunk: Buffer): void {
    if (this.#phase === 'inspecting') {
      if (this.#held?.piece(chunk) === false) this.release();
      return;
    }
    this.#watch?.piece(chunk);
    if (this.#phase !== 'answering') return;
    this.#limits.touch('idle');
    if (this.#collected?.piece(chunk) === false) {
      const text = `${this.#order.consumer.id} answered more than can be translated`;
      this.#fail(new BrokerError('consumer_failed', text, concernedOptions(this.#concerned)));
      return;
    }
    const piece = this.#pieces === null ? chunk : this.#pieces.piece(chunk);
    if (piece !== null) this.#delivery?.piece(piece);
  }

  #onEnd(answer: IncomingMessage): void {
    this.#listened?.();
    if (this.#phase === 'inspecting' && this.#head !== null && this.#held !== null) {
      if (this.#order.inspected?.(this.#head, this.#held.whole()) === true) this.#limits.stopAll();
      else this.release();
      return;
    }
    if (this.#phase !== 'answering' || this.#head === null) return;
    const ending = this.#pieces?.end() ?? null;
    const complaint = ending?.complaint ?? null;
    this.#settle({
      ...{ kind: 'complete', head: this.#head, watch: this.#watch, complaint },
      deliver: this.#collected === null ? null : (signal) => this.#deliverWhole(signal),
    });
    if (ending?.last != null) this.#delivery?.piece(ending.last);
    if (complaint !== null) this.#delivery?.cut();
    else this.#delivery?.end(answer.rawTrailers);
    // A service that answered before it had read everything does not get the rest.
    if (!this.#call.isSent()) this.#call.destroy();
  }

  async #deliverWhole(signal: AbortSignal): Promise<void> {
    const body = this.#collected?.body() ?? Buffer.alloc(0);
    try {
      await this.#deliver?.(body, signal);
    } finally {
      this.#collected?.release();
    }
  }

  #fail(error: BrokerError): void {
    this.#listened?.();
    // Cut while it was held: the client sees what came of it, and that it was cut.
    if (this.#phase === 'inspecting') this.release();
    if (this.#phase !== 'asking' && this.#phase !== 'answering') return;
    this.#dependencies.log.debug({ err: error.cause, consumer: this.#order.consumer.id }, error.message);
    this.#settle({ kind: 'failed', error });
    this.#tellClient(error);
    this.#call.destroy();
  }

  #expire(name: LimitName, limitMs: number): void {
    if (this.#phase !== 'asking' && this.#phase !== 'answering') return;
    const error = timeoutOf(name, limitMs, this.#concerned);
    this.#settle({ kind: 'timed_out', error, begun: this.#connected });
    this.#tellClient(error);
    this.#call.destroy();
  }

  #settle(end: RelayEnd): void {
    this.#phase = 'over';
    if (end.kind !== 'complete') this.#collected?.release();
    this.#limits.stopAll();
    this.#order.over(end);
  }

  #tellClient(error: BrokerError): void {
    const { res } = this.#order.exchange;
    if (res.closed || res.destroyed) return;
    if (this.#delivery !== null) {
      const last = this.#pieces?.broken(error) ?? null;
      if (last !== null) this.#delivery.piece(last);
      this.#delivery.cut();
    } else sendError(this.#order.exchange, error);
  }

  #listen(listenMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, listenMs);
      this.#listened = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
