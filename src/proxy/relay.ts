/**
 * One exchange between a client and a consumer: sends the request, passes the answer on as it comes, and settles once.
 * Owns the sockets of the running request. Knows nothing of queues and grants; who called it hears how it ended.
 */
import type { IncomingMessage } from 'node:http';
import type { AnswerHead, AnswerWatch } from '../adapters/adapter.js';
import { BrokerError } from '../errors.js';
import { type AnswerSource, ClientAnswer } from './client-answer.js';
import { type Concerned, concernedOptions, failureOf, timeoutOf } from './failures.js';
import { framingOf } from './framing.js';
import { requestHeaders } from './headers.js';
import { HeldAnswer } from './held-answer.js';
import type { RelayDependencies, RelayEnd, RelayOrder } from './relay-order.js';
import { type LimitName, TimeLimits } from './time-limits.js';
import type { UpstreamCall } from './upstream.js';

type Phase = 'asking' | 'inspecting' | 'answering' | 'listening' | 'over';

export class Relay implements AnswerSource {
  readonly #order: RelayOrder;
  readonly #dependencies: RelayDependencies;
  readonly #concerned: Concerned;
  readonly #limits: TimeLimits;
  readonly #client: ClientAnswer;
  readonly #call: UpstreamCall;
  #phase: Phase = 'asking';
  #connected = false;
  #head: AnswerHead | null = null;
  #watch: AnswerWatch | null = null;
  #listened: (() => void) | null = null;
  #held: HeldAnswer | null = null;
  #answer: IncomingMessage | null = null;

  constructor(order: RelayOrder, dependencies: RelayDependencies) {
    this.#order = order;
    this.#dependencies = dependencies;
    const { consumer, exchange, job, body, translated } = order;
    this.#concerned = { consumer, job };
    this.#limits = new TimeLimits(dependencies.clock, (name, limitMs) => this.#expire(name, limitMs));
    this.#client = new ClientAnswer(order, dependencies);
    this.#startLimits();
    const live = body === 'live';
    if (live && exchange.expectsContinue) exchange.res.writeContinue();
    this.#call = dependencies.upstreams.send(
      {
        consumer,
        method: exchange.req.method ?? 'GET',
        path: order.path,
        headers: requestHeaders(exchange, { consumer, isJob: job !== null, framing: framingOf(order), translated }),
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
    this.#client.drop();
    const worthIt = listenMs > 0 && this.#connected;
    this.#phase = worthIt ? 'listening' : 'over';
    this.#client.breakOff(error);
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
    answer.on('end', () => this.#onEnd(answer));
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
    const error = this.#client.begin(answer, head, headers, this);
    if (error !== null) this.#fail(failureOf(error, this.#concerned));
  }

  /** The source was paused, for the reader is behind, or goes on. */
  held(isHeld: boolean): void {
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
    if (this.#client.piece(chunk)) return;
    const text = `${this.#order.consumer.id} answered more than can be translated`;
    this.#fail(new BrokerError('consumer_failed', text, concernedOptions(this.#concerned)));
  }

  #onEnd(answer: IncomingMessage): void {
    this.#listened?.();
    if (this.#phase === 'inspecting' && this.#head !== null && this.#held !== null) {
      if (this.#order.inspected?.(this.#head, this.#held.whole()) === true) this.#limits.stopAll();
      else this.release();
      return;
    }
    if (this.#phase !== 'answering' || this.#head === null) return;
    const { complaint, deliver } = this.#client.end();
    this.#settle({ kind: 'complete', head: this.#head, watch: this.#watch, complaint, deliver });
    this.#client.close(answer.rawTrailers);
    // A service that answered before it had read everything does not get the rest.
    if (!this.#call.isSent()) this.#call.destroy();
  }

  #fail(error: BrokerError): void {
    this.#listened?.();
    // Cut while it was held: the client sees what came of it, and that it was cut.
    if (this.#phase === 'inspecting') this.release();
    if (this.#phase !== 'asking' && this.#phase !== 'answering') return;
    this.#dependencies.log.debug({ err: error.cause, consumer: this.#order.consumer.id }, error.message);
    this.#settle({ kind: 'failed', error });
    this.#client.breakOff(error);
    this.#call.destroy();
  }

  #expire(name: LimitName, limitMs: number): void {
    if (this.#phase !== 'asking' && this.#phase !== 'answering') return;
    const error = timeoutOf(name, limitMs, this.#concerned);
    this.#settle({ kind: 'timed_out', error, begun: this.#connected });
    this.#client.breakOff(error);
    this.#call.destroy();
  }

  #settle(end: RelayEnd): void {
    this.#phase = 'over';
    if (end.kind !== 'complete') this.#client.drop();
    this.#limits.stopAll();
    this.#order.over(end);
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
