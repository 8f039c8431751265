/** `GET /v1/models` and one of them, from what is known: never asks a consumer, never loads. Keeps nothing. */
import type { ConsumerConfiguration } from '../config/configuration.js';
import { type ConsumerId, targetName } from '../core/vocabulary.js';
import type { Exchange } from '../server/exchange.js';
import { sendJson } from '../server/respond.js';
import { namesOf, type RoutingContext, throwUnknown } from './routing.js';
import { speaksAnything } from './speakers.js';
import type { OpenAiWing } from './wing.js';

interface ModelEntry {
  readonly id: string;
  readonly object: 'model';
  /** Unix seconds. */
  readonly created: number;
  readonly owned_by: string;
  /** What an alias stands for. */
  readonly target?: string;
  /** As the last probe saw its consumer. */
  readonly health: 'up' | 'down' | 'unknown';
  readonly voices?: readonly { readonly name: string }[];
}

export function sendModels(wing: OpenAiWing, exchange: Exchange): void {
  sendJson(exchange, 200, { object: 'list', data: entriesOf(wing) });
}

/** `/v1/models/org%2Fname:tag`, or with its slash as it is. */
export function sendModel(wing: OpenAiWing, exchange: Exchange): void {
  const id = decodeURIComponent(exchange.path.replace(/^(\/v1)?\/models\//, ''));
  const entry = entriesOf(wing).find((one) => one.id === id);
  if (entry === undefined) throwUnknown(id, wing.context());
  sendJson(exchange, 200, entry);
}

function entriesOf(wing: OpenAiWing): ModelEntry[] {
  const context = wing.context();
  const { configuration, adapters } = context;
  const loadedS = Math.floor(wing.loadedAt() / 1000);
  const healths = new Map(wing.broker.snapshot().consumers.map(({ id, health }) => [id, health]));
  const healthOf = (id: ConsumerId) => healths.get(id) ?? 'unknown';
  const entries = new Map<string, ModelEntry>();
  for (const [id, target] of configuration.aliases) {
    const voices = voicesOf(configuration.consumers.get(target.consumer));
    const health = healthOf(target.consumer);
    const common = { object: 'model' as const, created: loadedS, owned_by: target.consumer, health };
    entries.set(id, { id, ...common, target: targetName(target), ...voices });
  }
  for (const consumer of configuration.consumers.values()) {
    if (!speaksAnything(consumer, adapters)) continue;
    for (const { id, created } of ownEntries(consumer, context, loadedS)) {
      // A name that two have: the second is to be had by its full one.
      const free = entries.has(id) ? `${consumer.id}/${id}` : id;
      const health = healthOf(consumer.id);
      entries.set(free, { id: free, object: 'model', created, owned_by: consumer.id, health, ...voicesOf(consumer) });
    }
  }
  return [...entries.values()];
}

function ownEntries(consumer: ConsumerConfiguration, context: RoutingContext, loadedS: number) {
  const created = new Map(context.catalogue.modelsOf(consumer).map(({ name, createdS }) => [name, createdS]));
  const names = namesOf(consumer, context);
  const ids = names.length > 0 ? names : [consumer.id];
  return ids.map((id) => ({ id, created: created.get(id) ?? loadedS }));
}

function voicesOf(consumer: ConsumerConfiguration | undefined): Pick<ModelEntry, 'voices'> {
  if (consumer === undefined || consumer.voices.size === 0) return {};
  return { voices: [...consumer.voices.keys()].map((name) => ({ name })) };
}
