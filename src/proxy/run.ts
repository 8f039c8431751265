/**
 * A granted job at its consumer: relays it, and tells the core its one end and when its work on the card is over.
 * Owns nothing but the course of that one run.
 */
import type { Adapter, AnswerHead, AnswerWatch, RequestLine, WorkVerdict } from '../adapters/adapter.js';
import type { HeldBody, Translation } from '../adapters/translation.js';
import type { ConsumerConfiguration } from '../config/configuration.js';
import type { JobId, JobOutcome, MonotonicMs } from '../core/vocabulary.js';
import { BrokerError, isErrorCode } from '../errors.js';
import type { BrokerPort } from '../runtime/ports.js';
import type { Exchange } from '../server/exchange.js';
import { sendError } from '../server/respond.js';
import { concernedOptions } from './failures.js';
import { Relay } from './relay.js';
import type { RelayDependencies, RelayEnd } from './relay-order.js';

export interface RunDependencies extends RelayDependencies {
  readonly broker: BrokerPort;
  /** Controllers that were never handed to anybody who keeps their signal. */
  readonly spareAborts: AbortController[];
}

export interface RunOrder {
  readonly id: JobId;
  readonly exchange: Exchange;
  readonly consumer: ConsumerConfiguration;
  readonly adapter: Adapter;
  readonly request: RequestLine;
  readonly body: HeldBody | null;
  readonly translated?: { readonly contentType: string | null; readonly translation: Translation } | undefined;
  /** How long it stood in the queue. */
  readonly queuedMs: number;
}

/** A service that does not notice that its client left is told by the work's name, which is in its answer. */
const LISTEN_FOR_NAME_MS = 200;

const DONE: JobOutcome = { end: 'done', code: null, message: null };

export class Run {
  readonly #order: RunOrder;
  readonly #dependencies: RunDependencies;
  readonly #grantedAt: MonotonicMs;
  readonly #over: () => void;
  #relay: Relay;
  /** It was sent once more after an out of memory; it is not a third time. */
  #triedAgain = false;
  #isOver = false;
  /** While work goes on behind a complete answer. */
  #afterAnswer: AbortController | null = null;

  /** `over`: the job has its end; nothing of ours holds its body any more. */
  constructor(order: RunOrder, dependencies: RunDependencies, over: () => void) {
    this.#order = order;
    this.#dependencies = dependencies;
    this.#over = over;
    this.#grantedAt = dependencies.clock.now();
    this.#relay = this.#send();
  }

  #send(): Relay {
    const { exchange, consumer, body, request, id, translated } = this.#order;
    return new Relay(
      {
        exchange,
        consumer,
        body,
        path: request.path + request.query,
        job: id,
        translated,
        inspects: ({ status }) => status >= 500,
        inspected: (head, text) => this.#isOutOfMemory(head, text),
        answered: (head) => this.#onAnswer(head),
        over: (end) => this.#onRelayOver(end),
      },
      this.#dependencies,
    );
  }

  /** True: the core is told, and says what becomes of the answer (`retry`, `pass` or `abort`). */
  #isOutOfMemory(head: AnswerHead, text: string): boolean {
    const message = this.#isOver ? null : this.#order.adapter.outOfMemory(head, text);
    if (message === null) return false;
    const canRetry = !this.#triedAgain;
    // After this call: the core's word comes back into a relay that has said what it knows.
    queueMicrotask(() =>
      this.#dependencies.broker.post({ type: 'OutOfMemorySeen', jobId: this.#order.id, canRetry, message }),
    );
    return true;
  }

  /** Room was made: the same body once more. */
  retry(): void {
    if (this.#isOver) return;
    this.#triedAgain = true;
    this.#relay.discard();
    this.#relay = this.#send();
  }

  /** The answer goes out as it is. */
  pass(): void {
    this.#relay.release();
  }

  /** The core has ended the job: everything of it is broken off, and the core hears when its work is over. */
  abort(outcome: JobOutcome, code: BrokerError['code']): void {
    if (this.#isOver) return;
    const isAnswered = this.#afterAnswer !== null;
    this.#end();
    void this.#windDown(isAnswered ? null : this.#errorOf(outcome, code));
  }

  #errorOf(outcome: JobOutcome, code: BrokerError['code']): BrokerError {
    const text = outcome.message ?? 'the job was ended by the broker';
    return new BrokerError(code, text, concernedOptions({ consumer: this.#order.consumer, job: this.#order.id }));
  }

  #onAnswer(head: AnswerHead): { headers: string[]; watch: AnswerWatch | null } {
    const { id, consumer, adapter, request, queuedMs } = this.#order;
    const upstreamMs = this.#dependencies.clock.now() - this.#grantedAt;
    if (!this.#isOver) this.#dependencies.broker.post({ type: 'FirstByteSeen', jobId: id });
    return {
      headers: [
        'X-MGPU-Job',
        id,
        'X-MGPU-Consumer',
        consumer.id,
        'Server-Timing',
        `queue;dur=${queuedMs.toFixed(1)}, load;dur=0, upstream;dur=${upstreamMs.toFixed(1)}`,
      ],
      watch: adapter.watch(request, head),
    };
  }

  #onRelayOver(end: RelayEnd): void {
    if (this.#isOver) return;
    if (end.kind === 'complete') this.#onAnswerComplete(end);
    else if (end.kind === 'failed') this.#endAs({ end: 'failed', ...codeAndText(end.error) }, true);
    else {
      this.#endAs({ end: 'timed_out', ...codeAndText(end.error) }, !end.begun);
      if (end.begun) void this.#windDown(null);
    }
  }

  #onAnswerComplete({ head, watch, complaint: found, deliver }: Extract<RelayEnd, { kind: 'complete' }>): void {
    const { adapter, request, consumer, id } = this.#order;
    const complaint =
      watch?.complaint() ?? found ?? (head.status >= 500 ? `${consumer.id} answered ${head.status}` : null);
    if (complaint !== null) {
      // Its client is told what the consumer said, in its own API's words.
      if (deliver !== null) void this.#deliver(deliver, null);
      const ranOut = adapter.outOfMemory({ ...head, status: 500 }, complaint) !== null;
      const code = ranOut && head.status < 500 ? 'gpu_out_of_memory' : 'consumer_failed';
      this.#endAs({ end: 'failed', code, message: complaint }, true);
      return;
    }
    const { spareAborts } = this.#dependencies;
    const afterAnswer = spareAborts.pop() ?? new AbortController();
    const work = adapter.workAfterAnswer(request, head, watch, consumer, afterAnswer.signal);
    if (deliver !== null) {
      this.#afterAnswer = afterAnswer;
      void this.#deliver(deliver, { work, signal: afterAnswer.signal });
      return;
    }
    if (work === null) {
      // Nobody holds its signal. Most kinds never need one, and it is dear to make.
      spareAborts.push(afterAnswer);
      this.#endAs(DONE, true);
      return;
    }
    this.#afterAnswer = afterAnswer;
    this.#dependencies.broker.post({ type: 'AnswerSent', jobId: id });
    work.then(
      (verdict) => this.#endAs(outcomeOf(verdict), true),
      (error: unknown) => this.#endWithBug(error),
    );
  }

  /** `follow`: the job ends with it; null: the job has its end already. */
  async #deliver(
    deliver: (signal: AbortSignal) => Promise<void>,
    follow: { readonly work: Promise<WorkVerdict> | null; readonly signal: AbortSignal } | null,
  ): Promise<void> {
    const { exchange, consumer, id } = this.#order;
    try {
      const verdict = (await follow?.work) ?? { end: 'done' };
      if (follow !== null && this.#isOver) return;
      const outcome = outcomeOf(verdict);
      if (outcome.end === 'done') await deliver(follow?.signal ?? new AbortController().signal);
      else sendError(exchange, this.#errorOf(outcome, codeOf(outcome)));
      if (follow !== null) this.#endAs(outcome, true);
    } catch (cause) {
      if (follow !== null && this.#isOver) return;
      const known = cause instanceof BrokerError ? cause : null;
      if (known === null) this.#dependencies.log.error({ err: cause, job: id }, 'an answer could not be translated');
      const text = known?.message ?? `the answer of ${consumer.id} could not be translated, which is a bug`;
      const error = this.#errorOf({ end: 'failed', code: null, message: text }, known?.code ?? 'internal');
      sendError(exchange, error);
      if (follow !== null) this.#endAs({ end: 'failed', ...codeAndText(error) }, true);
    }
  }

  #endWithBug(error: unknown): void {
    if (this.#isOver) return;
    const { id, consumer } = this.#order;
    this.#dependencies.log.error({ err: error, job: id }, 'an adapter failed while it watched a job');
    const message = `the broker lost sight of the work at ${consumer.id}, which is a bug; its log has the cause`;
    this.#endAs({ end: 'failed', code: 'internal', message }, false);
    void this.#windDown(null);
  }

  #endAs(outcome: JobOutcome, workOver: boolean): void {
    if (this.#isOver) return;
    this.#end();
    this.#dependencies.broker.post({ type: 'JobEnded', jobId: this.#order.id, outcome, workOver });
  }

  #end(): void {
    this.#isOver = true;
    this.#afterAnswer?.abort();
    this.#over();
  }

  /** `error`: what its client is told; null: its client has its answer, or was told. */
  async #windDown(error: BrokerError | null): Promise<void> {
    const { adapter, request, consumer, id } = this.#order;
    if (error !== null) {
      const namesWork = adapter.namesWorkInAnswer?.(request) === true;
      await this.#relay.breakOff(error, namesWork ? LISTEN_FOR_NAME_MS : 0);
    }
    try {
      await adapter.brokenOff(this.#relay.workId(), consumer);
    } catch (cause) {
      // The card must come back all the same.
      this.#dependencies.log.error({ err: cause, job: id }, 'an adapter could not tell when a job was over');
    }
    this.#dependencies.broker.post({ type: 'WorkEnded', jobId: id });
  }
}

const codeOf = ({ code }: JobOutcome): BrokerError['code'] =>
  code !== null && isErrorCode(code) ? code : 'consumer_failed';

const codeAndText = ({ code, message }: BrokerError): { code: string; message: string } => ({ code, message });

function outcomeOf(verdict: WorkVerdict): JobOutcome {
  if (verdict.end === 'done') return DONE;
  const ranOut = verdict.end === 'failed' && verdict.outOfMemory === true;
  return { end: 'failed', code: ranOut ? 'gpu_out_of_memory' : 'consumer_failed', message: verdict.message };
}
