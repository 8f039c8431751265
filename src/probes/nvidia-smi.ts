/**
 * Samples the cards with `nvidia-smi` and reports each reading. The tool may be slow, hang for ever or outlive SIGKILL:
 * a call that is late gets one successor beside it, so that never more than two run, and a newer answer is never
 * overwritten by an older one. Owns the calls and their schedule; what a reading means the core decides.
 */
import type { ConsumerId } from '../core/vocabulary.js';
import type { BrokerPort, Clock, ConfigurationPort, Log } from '../runtime/ports.js';
import { type CallResult, type CardCall, callNvidiaSmi, type Measurement } from './card-call.js';
import { fieldsToAsk } from './nvidia-smi-output.js';

export interface CardProbeOptions {
  readonly broker: BrokerPort;
  readonly configuration: ConfigurationPort;
  readonly clock: Clock;
  readonly log: Log;
  /** `PATH` in it says where the tool is looked for. */
  readonly env: NodeJS.ProcessEnv;
  /** Whose a process is; absent: nobody's. */
  readonly consumerOf?: (pid: number) => ConsumerId | null;
  /** After so long a call counts as late; default 4 s (a card without persistence mode takes up to 2 s). */
  readonly lateMs?: number;
  /** After so long a call is ended; default 9 s, so that slow is told from stuck. */
  readonly deadlineMs?: number;
}

export interface CardProbe {
  start(): void;
  configurationChanged(): void;
  /**
   * A reading that began after this call, reported like any other as well. Without one, `reading` is null and `error`
   * says why. Settles within twice `deadlineMs`.
   */
  measure(): Promise<Measurement>;
  /** Ends what runs; nothing is reported afterwards, and no stuck tool holds this process. */
  close(): void;
}

/** Alive at once, counted from outside. */
const MOST_CALLS = 2;
/** A tool that fails is asked at half the pace, but so often that its return is seen soon. */
const FAILING_PACE = 2;
const FAILING_INTERVAL_MS = 5_000;

/** From SIGKILL, or from the last word of a call, until nothing of it is left. */
const DYING_MAY_TAKE_MS = 1_000;

interface Waiter {
  readonly since: number;
  readonly resolve: (measurement: Measurement) => void;
}

interface RunningCall extends CardCall {
  readonly number: number;
  late: boolean;
  /** Since when it was ended, or had said all it will; null: neither. */
  overAt: number | null;
  readonly stopTimers: () => void;
}

export function createCardProbe(options: CardProbeOptions): CardProbe {
  return new NvidiaSmiProbe(options);
}

class NvidiaSmiProbe implements CardProbe {
  readonly #options: CardProbeOptions;
  readonly #lateMs: number;
  readonly #deadlineMs: number;
  /** All of which something may still be alive. */
  readonly #calls = new Set<RunningCall>();
  readonly #refusedFields = new Set<string>();
  #waiters: Waiter[] = [];
  #timer: NodeJS.Timeout | null = null;
  #running = false;
  #lastNumber = 0;
  /** The number of the newest call that was reported. */
  #reportedNumber = 0;
  #lastStartedAt = Number.NEGATIVE_INFINITY;
  #failing = false;

  constructor(options: CardProbeOptions) {
    this.#options = options;
    this.#lateMs = options.lateMs ?? 4_000;
    this.#deadlineMs = options.deadlineMs ?? 9_000;
  }

  start(): void {
    if (this.#source() === 'none') return;
    this.#running = true;
    this.#callWhenDue();
  }

  configurationChanged(): void {
    const wanted = this.#source() !== 'none';
    if (wanted && !this.#running) this.start();
    else if (wanted) this.#callWhenDue();
    else if (this.#running) this.#forget();
  }

  measure(): Promise<Measurement> {
    return new Promise((resolve) => {
      const { clock } = this.#options;
      if (!this.#running) return resolve({ reading: null, error: 'the cards are not read (gpu.source: none)' });
      this.#waiters.push({ since: clock.now(), resolve });
      this.#callWhenDue();
    });
  }

  close(): void {
    this.#running = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const call of this.#calls) {
      call.overAt = this.#options.clock.now();
      call.stopTimers();
      call.tool.abandon();
    }
    this.#answerWaiters(Number.POSITIVE_INFINITY, { reading: null, error: 'the broker stops reading the cards' });
  }

  #source(): string {
    return this.#options.configuration.current().gpu.source;
  }

  /** The cards shall not be read any more: what was known of them is taken back. */
  #forget(): void {
    this.close();
    const { broker, clock } = this.#options;
    const sampledAt = clock.now();
    const reading = {
      source: 'none',
      startedAt: sampledAt,
      processes: null,
      sampledAt,
      sampledWall: clock.wallOf(sampledAt),
      cards: [],
    } as const;
    broker.post({ type: 'CardMeasured', reading, error: null });
  }

  #callWhenDue(): void {
    if (!this.#running) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    // An answer that is not late yet is worth waiting for: it calls here again.
    if ([...this.#calls].some((call) => !call.late && call.overAt === null)) return;
    if (this.#calls.size >= MOST_CALLS) {
      this.#tellIfAllStuck();
      return;
    }
    const waitMs = this.#waiters.length > 0 ? 0 : this.#lastStartedAt + this.#gapMs() - this.#options.clock.now();
    if (waitMs <= 0) this.#call();
    else this.#timer = setTimeout(() => this.#callWhenDue(), waitMs);
  }

  #gapMs(): number {
    const { intervalMs } = this.#options.configuration.current().gpu;
    if (!this.#failing) return intervalMs;
    return Math.max(intervalMs, Math.min(FAILING_PACE * intervalMs, FAILING_INTERVAL_MS));
  }

  #call(): void {
    const { clock, env } = this.#options;
    this.#lastNumber += 1;
    const begun = callNvidiaSmi(fieldsToAsk(this.#refusedFields), env, clock, this.#options.consumerOf ?? (() => null));
    const late = setTimeout(() => this.#becomesLate(call), this.#lateMs);
    const deadline = setTimeout(() => this.#end(call), this.#deadlineMs);
    const stopTimers = () => {
      clearTimeout(late);
      clearTimeout(deadline);
    };
    const call: RunningCall = { ...begun, number: this.#lastNumber, late: false, overAt: null, stopTimers };
    this.#lastStartedAt = call.startedAt;
    this.#calls.add(call);
    void call.result.then((result) => {
      stopTimers();
      if (call.overAt === null) this.#take(call, result);
    });
    // What it said is taken first: it may change what is asked next.
    void Promise.all([call.tool.gone, call.result]).then(() => {
      this.#calls.delete(call);
      // Through the event loop: a tool that cannot even be started ends at once, and would starve everything else.
      setImmediate(() => this.#callWhenDue());
    });
  }

  #becomesLate(call: RunningCall): void {
    call.late = true;
    this.#failing = false;
    this.#report(call, { reading: null, error: this.#lateText() });
    this.#callWhenDue();
  }

  #end(call: RunningCall): void {
    call.overAt = this.#options.clock.now();
    this.#options.log.debug({ call: call.number }, 'nvidia-smi did not answer and is ended');
    call.tool.kill();
    this.#callWhenDue();
  }

  #take(call: RunningCall, result: CallResult): void {
    call.overAt = this.#options.clock.now();
    switch (result.type) {
      case 'refused_field':
        this.#refusedFields.add(result.field);
        this.#options.log.info({ field: result.field }, `nvidia-smi does not know ${result.field}; asking without it`);
        // Not a failure, and nothing to report: the same question without the field follows at once.
        this.#lastStartedAt = Number.NEGATIVE_INFINITY;
        break;
      case 'failed':
        this.#failing = true;
        // Another driver may be there when it works again.
        this.#refusedFields.clear();
        this.#report(call, { reading: null, error: result.error });
        break;
      case 'measured':
        this.#failing = false;
        this.#report(call, call.late ? { ...result.measurement, error: this.#lateText() } : result.measurement);
    }
    this.#callWhenDue();
  }

  /** The same words as long as it lasts, so that the log says it once. */
  #lateText(): string {
    return `nvidia-smi takes longer than ${this.#lateMs / 1000} s to answer; the figures are as old as they say`;
  }

  /** No call can be made before one of those that live on is gone. */
  #tellIfAllStuck(): void {
    const calls = [...this.#calls];
    const newest = calls.at(-1);
    if (newest === undefined || calls.some((call) => call.overAt === null)) return;
    const lastOverAt = Math.max(...calls.map((call) => call.overAt ?? 0));
    const waitMs = lastOverAt + DYING_MAY_TAKE_MS - this.#options.clock.now();
    if (waitMs > 0) {
      this.#timer = setTimeout(() => this.#callWhenDue(), waitMs);
      return;
    }
    const error = `${calls.length} calls of nvidia-smi, or what they started, cannot be ended; see the kernel log (dmesg) for the driver`;
    this.#report(newest, { reading: null, error });
    this.#answerWaiters(Number.POSITIVE_INFINITY, { reading: null, error });
  }

  #report(call: RunningCall, measurement: Measurement): void {
    if (!this.#running || call.number < this.#reportedNumber) return;
    this.#reportedNumber = call.number;
    this.#options.broker.post({ type: 'CardMeasured', ...measurement });
    this.#answerWaiters(call.startedAt, measurement);
  }

  #answerWaiters(startedAt: number, measurement: Measurement): void {
    const answered = this.#waiters.filter((waiter) => waiter.since <= startedAt);
    this.#waiters = this.#waiters.filter((waiter) => waiter.since > startedAt);
    for (const waiter of answered) waiter.resolve(measurement);
  }
}
