/**
 * Asks every consumer, again and again, whether it is well, and reports each answer to the core; what an answer means
 * (a busy consumer that is late is not down) the core decides. Owns one schedule and at most one open probe per
 * consumer; keeps no opinion beyond the next time to ask.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Configuration, ConsumerConfiguration } from '../config/configuration.js';
import type { ConsumerId } from '../core/vocabulary.js';
import type { BrokerPort, Clock, ConfigurationPort, Log } from '../runtime/ports.js';
import { askHealth, type Verdict } from './health-request.js';

/** One that is not well is asked at least so often, so that its return is seen within 10 s whatever the interval. */
const UNWELL_INTERVAL_MS = 5_000;

export interface HealthProbesOptions {
  readonly broker: BrokerPort;
  readonly configuration: ConfigurationPort;
  readonly clock: Clock;
  readonly log: Log;
}

export interface HealthProbes {
  /** The first probe of every consumer goes out at once, the following ones spread over the interval. */
  start(): void;
  /** Consumers that are gone are asked no more; new and changed ones are asked at once. */
  configurationChanged(): void;
  /** Asks without waiting for the schedule; if a probe is out, right after it. Unknown names are ignored. */
  probeNow(consumer: ConsumerId): void;
  /** Nothing is reported afterwards, no socket stays. */
  close(): void;
}

/** What a probe depends on: when it changes, what is under way is void. */
interface Asked {
  readonly consumer: ConsumerConfiguration;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

export function createHealthProbes(options: HealthProbesOptions): HealthProbes {
  const { configuration } = options;
  const schedules = new Map<ConsumerId, ProbeSchedule>();
  let running = false;

  function open(asked: Asked, spreadMs: number): void {
    schedules.set(asked.consumer.id, new ProbeSchedule(asked, spreadMs, options));
  }

  return {
    start() {
      running = true;
      const all = allAsked(configuration.current());
      all.forEach((asked, index) => {
        open(asked, (asked.intervalMs * (index + 1)) / all.length);
      });
    },
    configurationChanged() {
      if (!running) return;
      const wanted = new Map(allAsked(configuration.current()).map((asked) => [asked.consumer.id, asked]));
      for (const [id, schedule] of schedules) {
        if (schedule.isFor(wanted.get(id))) continue;
        schedule.close();
        schedules.delete(id);
      }
      for (const [id, asked] of wanted) {
        if (!schedules.has(id)) open(asked, asked.intervalMs);
      }
    },
    probeNow(id) {
      schedules.get(id)?.askNow();
    },
    close() {
      running = false;
      for (const schedule of schedules.values()) schedule.close();
      schedules.clear();
    },
  };
}

function allAsked({ consumers, health }: Configuration): Asked[] {
  return [...consumers.values()].map((consumer) => ({ consumer, ...health }));
}

const whatMatters = ({ consumer: { url, health, headers }, intervalMs, timeoutMs }: Asked) => ({
  url,
  health,
  headers,
  intervalMs,
  timeoutMs,
});

/** The probes of one consumer as one configuration describes it. */
class ProbeSchedule {
  readonly #asked: Asked;
  readonly #options: HealthProbesOptions;
  readonly #closed = new AbortController();
  /** From the first probe to the second, so that not all consumers are asked in the same moment ever after. */
  #firstGapMs: number | null;
  #timer: NodeJS.Timeout | null = null;
  #isOut = false;
  #askAgain = false;

  constructor(asked: Asked, firstGapMs: number, options: HealthProbesOptions) {
    this.#asked = asked;
    this.#firstGapMs = firstGapMs;
    this.#options = options;
    this.askNow();
  }

  isFor(asked: Asked | undefined): boolean {
    return asked !== undefined && isDeepStrictEqual(whatMatters(asked), whatMatters(this.#asked));
  }

  askNow(): void {
    if (this.#isOut) this.#askAgain = true;
    else void this.#ask();
  }

  close(): void {
    this.#closed.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #ask(): Promise<void> {
    const { clock, log } = this.#options;
    const { consumer, timeoutMs } = this.#asked;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#isOut = true;
    this.#askAgain = false;
    const startedAt = clock.now();
    const { signal } = this.#closed;
    const verdict = await askHealth(consumer, { timeoutMs, signal }).catch((error: unknown): Verdict => {
      log.error({ err: error, consumer: consumer.id }, 'a health probe could not be made, which is a bug');
      return { result: 'bad', error: `the probe could not be made: ${String(error)}` };
    });
    this.#isOut = false;
    if (signal.aborted) return;
    this.#options.broker.post({ type: 'ProbeEnded', consumer: consumer.id, ...verdict, startedAt });
    // Reporting can bring a new configuration with it.
    if (!signal.aborted) this.#askLater(verdict, startedAt);
  }

  #askLater({ result }: Verdict, startedAt: number): void {
    if (this.#askAgain) {
      this.askNow();
      return;
    }
    const { intervalMs } = this.#asked;
    let gapMs = this.#firstGapMs ?? intervalMs;
    if (result !== 'good') gapMs = Math.min(gapMs, UNWELL_INTERVAL_MS);
    this.#firstGapMs = null;
    const waitMs = startedAt + gapMs - this.#options.clock.now();
    this.#timer = setTimeout(() => this.askNow(), Math.max(0, waitMs));
  }
}
