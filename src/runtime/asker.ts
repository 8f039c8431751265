/**
 * Asks every consumer from time to time what it holds and for whom it works, so that use past us (a service's own page,
 * its own command line, its own timers) is seen. Where a service cannot say, the use of the card by its processes does.
 * Owns one timer and at most one open question per consumer.
 */
import type { ConsumerAnswer } from '../core/events.js';
import type { ConsumerSnapshot } from '../core/snapshot.js';
import type { ConsumerId } from '../core/vocabulary.js';
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

/** The card's own count of use trails: what our last job did must not look like somebody else's. */
const OURS_TRAILS_MS = 2000;

export function createAsker({ broker, configuration, consumers, clock, use }: AskerOptions): Asker {
  const open = new Set<ConsumerId>();
  let timer: NodeJS.Timeout | null = null;

  async function ask({ id }: ConsumerSnapshot, works: boolean | null): Promise<void> {
    open.add(id);
    const said = await consumers.ask(id).catch(() => null);
    open.delete(id);
    const answer = withUse(said, works);
    // A silence teaches nothing, and must not count as an answer to a question of the core's.
    if (timer !== null && answer !== null) broker.post({ type: 'ConsumerAsked', consumer: id, answer });
  }

  async function round(): Promise<void> {
    const works = await use.look();
    if (timer === null) return;
    for (const consumer of broker.snapshot().consumers) {
      if (consumer.health !== 'up' || open.has(consumer.id)) continue;
      // No process of it on a card, or no word about it: then nobody is known to work on it.
      void ask(consumer, isOurs(consumer) ? null : (works?.get(consumer.id) ?? false));
    }
    timer = setTimeout(() => void round(), configuration.current().health.intervalMs);
  }

  const isOurs = ({ active, lastUsedAt }: ConsumerSnapshot): boolean =>
    active > 0 || (lastUsedAt !== null && clock.now() - lastUsedAt < OURS_TRAILS_MS);

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

/** What the service says itself goes before what its processes show. */
function withUse(said: ConsumerAnswer | null, works: boolean | null): ConsumerAnswer | null {
  if (works === null || (said?.foreignWork ?? null) !== null) return said;
  return { loaded: said?.loaded ?? null, foreignWork: works ? 1 : 0 };
}
