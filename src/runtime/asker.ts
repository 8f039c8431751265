/**
 * Asks every consumer from time to time what it holds and for whom it works, so that use past us (a service's own page,
 * its own command line, its own timers) is seen. Owns one timer and at most one open question per consumer.
 */
import type { ConsumerId } from '../core/vocabulary.js';
import type { BrokerPort, ConfigurationPort, ConsumerPort } from './ports.js';

export interface AskerOptions {
  readonly broker: BrokerPort;
  readonly configuration: ConfigurationPort;
  readonly consumers: Pick<ConsumerPort, 'ask'>;
}

export interface Asker {
  start(): void;
  close(): void;
}

export function createAsker({ broker, configuration, consumers }: AskerOptions): Asker {
  const open = new Set<ConsumerId>();
  let timer: NodeJS.Timeout | null = null;

  async function ask(consumer: ConsumerId): Promise<void> {
    open.add(consumer);
    const answer = await consumers.ask(consumer).catch(() => null);
    open.delete(consumer);
    // A silence teaches nothing, and must not count as an answer to a question of the core's.
    if (timer !== null && answer !== null) broker.post({ type: 'ConsumerAsked', consumer, answer });
  }

  function round(): void {
    for (const { id, health } of broker.snapshot().consumers) {
      if (health === 'up' && !open.has(id)) void ask(id);
    }
    timer = setTimeout(round, configuration.current().health.intervalMs);
  }

  return {
    start() {
      timer = setTimeout(round, configuration.current().health.intervalMs);
    },
    close() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}
