/**
 * The models of every consumer, as it listed them last. Asked for in the background, one question at a time a consumer
 * and never in the way of an answer, so that a silent service slows no list. Owns those lists; loads nothing.
 */
import type { ListedModel } from '../adapters/adapter.js';
import type { ConsumerConfiguration } from '../config/configuration.js';
import type { ConsumerId } from '../core/vocabulary.js';
import type { ConfigurationPort, JournalPort, Log } from '../runtime/ports.js';
import { type Adapters, speaksAnything } from './speakers.js';

const REFRESH_MS = 30_000;
const ANSWER_MS = 5000;
/** A name that nobody knows is asked for again, but no more often than this. */
const FRESH_MS = 2000;

export interface Catalogue {
  /** Known names; empty: it has none by name, or none are known yet. */
  modelsOf(consumer: ConsumerConfiguration): readonly ListedModel[];
  /** Asks all whose list may have changed, and waits for their answers for so long at most. Never rejects. */
  freshen(waitMs: number): Promise<void>;
  start(): void;
  close(): void;
}

export interface CatalogueOptions {
  readonly configuration: ConfigurationPort;
  readonly journal: JournalPort;
  readonly adapters: Adapters;
  readonly log: Log;
}

interface Listing {
  /** Another address is another service. */
  readonly url: string;
  models: readonly ListedModel[];
  askedAt: number;
  asking: Promise<void> | null;
}

export function createCatalogue({ configuration, journal, adapters, log }: CatalogueOptions): Catalogue {
  const listings = new Map<ConsumerId, Listing>();
  let timer: NodeJS.Timeout | null = null;
  let stopListening: () => void = () => {};

  function listingOf(consumer: ConsumerConfiguration): Listing {
    const known = listings.get(consumer.id);
    if (known?.url === consumer.url) return known;
    const listing: Listing = { url: consumer.url, models: [], askedAt: Number.NEGATIVE_INFINITY, asking: null };
    listings.set(consumer.id, listing);
    return listing;
  }

  function ask(consumer: ConsumerConfiguration): Promise<void> {
    const listing = listingOf(consumer);
    const { listModels } = adapters[consumer.kind];
    if (listModels === undefined) return Promise.resolve();
    listing.askedAt = performance.now();
    listing.asking ??= listModels(consumer, ANSWER_MS)
      .then((models) => {
        listing.models = models;
      })
      .catch((error: unknown) => log.debug({ err: error, consumer: consumer.id }, 'no list of models'))
      .finally(() => {
        listing.asking = null;
      });
    return listing.asking;
  }

  const all = (): ConsumerConfiguration[] =>
    [...configuration.current().consumers.values()].filter((consumer) => speaksAnything(consumer, adapters));

  function askAll(): void {
    const { consumers } = configuration.current();
    for (const id of listings.keys()) if (!consumers.has(id)) listings.delete(id);
    for (const consumer of all()) void ask(consumer);
  }

  return {
    modelsOf: (consumer) => listingOf(consumer).models,

    async freshen(waitMs) {
      const old = all().filter((consumer) => performance.now() - listingOf(consumer).askedAt > FRESH_MS);
      const under = [...listings.values()].flatMap(({ asking }) => (asking === null ? [] : [asking]));
      await Promise.race([Promise.all([...old.map(ask), ...under]), after(waitMs)]);
    },

    start() {
      askAll();
      timer = setInterval(askAll, REFRESH_MS);
      timer.unref();
      stopListening = journal.subscribe(({ fact }) => {
        if (fact.type === 'config') askAll();
        if (fact.type !== 'consumer' || fact.health !== 'up') return;
        const consumer = configuration.current().consumers.get(fact.consumer);
        if (consumer !== undefined && speaksAnything(consumer, adapters)) void ask(consumer);
      });
    },

    close() {
      if (timer !== null) clearInterval(timer);
      stopListening();
    },
  };
}

const after = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
