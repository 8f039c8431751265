/**
 * Asks every consumer from time to time what it holds and for whom it works, so that use past us (a service's own page,
 * its own command line, its own timers) is seen; with each answer goes what the driver counts of the card's use by its
 * processes. What of it is ours the core knows. Owns one timer and at most one open question per consumer.
 */
import type { ConsumerId, MonotonicMs } from '../core/vocabulary.js';
import type { BrokerPort, Clock, ConfigurationPort, ConsumerPort } from './ports.js';

export interface AskerOptions {
  readonly broker: BrokerPort;
  readonly configuration: ConfigurationPort;
  readonly consumers: Pick<ConsumerPort, 'ask'>;
  readonly clock: Clock;
  /** Whether the processes of each consumer work on a card; null: not known. */
  readonly use: { look(): Promise<ReadonlyMap<ConsumerId, boolean> | null> };
}

export interface Asker {
  start(): void;
  close(): void;
}

export function createAsker({ broker, configuration, consumers, clock, use }: AskerOptions): Asker {
  const open = new Set<ConsumerId>();
  let timer: NodeJS.Timeout | null = null;

  async function ask(id: ConsumerId, usesCard: boolean, startedAt: MonotonicMs): Promise<void> {
    open.add(id);
    const answer = await consumers.ask(id).catch(() => null);
    open.delete(id);
    if (timer !== null) broker.post({ type: 'ConsumerAsked', consumer: id, answer, usesCard, startedAt });
  }

  async function round(): Promise<void> {
    const startedAt = clock.now();
    const works = await use.look();
    if (timer === null) return;
    for (const { id, health } of broker.snapshot().consumers) {
      // No process of it on a card, or no word about it: then nobody is known to work on it.
      if (health === 'up' && !open.has(id)) void ask(id, works?.get(id) ?? false, startedAt);
    }
    timer = setTimeout(() => void round(), configuration.current().health.intervalMs);
  }

  return {
    start() {
      timer = setTimeout(() => void round(), configuration.current().health.intervalMs);
    },
    close() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}
