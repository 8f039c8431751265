/**
 * Keeps the stream of a job that waits alive: after a while its answer begins, with comments or with what goes on as
 * reasoning text; what fails afterwards is told inside it. Until then an error keeps its status. Owns the timer and,
 * once it has begun, the response until the consumer's answer takes over.
 */
import type { ConsumerConfiguration } from '../config/configuration.js';
import { describeReason } from '../core/describe.js';
import type { JobId } from '../core/vocabulary.js';
import type { BrokerError } from '../errors.js';
import type { BrokerPort, Clock } from '../runtime/ports.js';
import type { Exchange } from '../server/exchange.js';
import type { ToldError } from './errors.js';

/** Before any proxy's and client's first limit (25 s and more). */
const FIRST_AFTER_MS = 20_000;
const THEN_EVERY_MS = 15_000;

export const STREAM_HEADERS: readonly string[] = [
  ...['Content-Type', 'text/event-stream; charset=utf-8'],
  ...['Cache-Control', 'no-cache'],
  ...['X-Accel-Buffering', 'no'],
];

export interface WaitingStreamOptions {
  readonly exchange: Exchange;
  readonly manner: ConsumerConfiguration['waiting'];
  /** Only chats have a place for reasoning text; null: comments instead. */
  readonly reasoningModel: string | null;
  readonly errorEvent: (error: ToldError) => string;
  readonly broker: BrokerPort;
  readonly clock: Clock;
  /** Other than the usual ones, for tests. */
  readonly timesMs?: { readonly first: number; readonly next: number };
}

export class WaitingStream {
  readonly #options: WaitingStreamOptions;
  #job: JobId | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: WaitingStreamOptions) {
    this.#options = options;
  }

  start(job: JobId): void {
    const { exchange, manner, timesMs } = this.#options;
    const { res } = exchange;
    if (manner === 'off' || res.closed || res.headersSent) return;
    this.#job = job;
    exchange.breakOff = (error) => this.#breakOff(error);
    this.#timer = setTimeout(() => this.#speak(), timesMs?.first ?? FIRST_AFTER_MS);
    res.once('close', () => this.stop());
  }

  /** The consumer's answer is here, or an error is told. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #speak(): void {
    const { exchange, timesMs } = this.#options;
    const { res } = exchange;
    if (res.destroyed || res.writableEnded || this.#timer === null) return;
    if (!res.headersSent) {
      const job = this.#job === null ? [] : ['X-MGPU-Job', this.#job];
      res.writeHead(200, [...STREAM_HEADERS, ...job]);
    }
    // A reader that takes nothing gets nothing more.
    if (!res.writableNeedDrain) res.write(this.#words());
    this.#timer = setTimeout(() => this.#speak(), timesMs?.next ?? THEN_EVERY_MS);
  }

  #words(): string {
    const { manner, reasoningModel } = this.#options;
    const text = this.#whatGoesOn();
    if (manner !== 'reasoning' || reasoningModel === null) return `: ${text}\n\n`;
    const delta = { role: 'assistant', content: '', reasoning_content: `${text}\n` };
    const chunk = {
      ...{ id: `chatcmpl-${this.#job}`, object: 'chat.completion.chunk', created: Math.floor(Date.now() / 1000) },
      ...{ model: reasoningModel, choices: [{ index: 0, delta, finish_reason: null }] },
    };
    return `data: ${JSON.stringify(chunk)}\n\n`;
  }

  #whatGoesOn(): string {
    const { broker, clock } = this.#options;
    const view = this.#job === null ? null : broker.snapshot().job(this.#job);
    if (view?.state !== 'waiting') return 'the consumer has it, its answer has not begun';
    const place = view.position === null ? '' : `place ${view.position} in the queue: `;
    const reason = view.reason === null ? 'waiting for its turn' : describeReason(view.reason, clock.now());
    return place + reason.replace(/\s+/g, ' ');
  }

  #breakOff(error: BrokerError): void {
    this.stop();
    const { res } = this.#options.exchange;
    if (res.destroyed || res.writableEnded) return;
    const { message, type, code } = error;
    res.write(this.#options.errorEvent({ message, type, param: null, code }), () => res.destroy());
  }
}
