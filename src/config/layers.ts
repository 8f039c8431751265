/**
 * File over kind: fills in what a kind brings where the file says nothing, in the words of the file. The general
 * defaults lie below both and come from the schema (`prefault`). Owns no state.
 */
import type { KindDefaults } from '../adapters/adapter.js';
import { entriesOf, type Kinds, kindOf } from './references.js';

type Entries = Readonly<Record<string, unknown>>;

/** In the words of the file. Paths are merged one by one, everything else is taken as a whole. */
function consumerLayer(defaults: KindDefaults): Entries {
  return {
    ...(defaults.url === null ? {} : { url: defaults.url }),
    ...(defaults.health === null ? {} : { health: defaults.health }),
    paths: defaults.paths,
    passes: defaults.passes,
    class: defaults.class,
    parallel: defaults.parallel,
    drain: defaults.drain,
  };
}

/** What the kinds bring to each consumer of the file, by name of the consumer. */
export function kindLayers(data: unknown, kinds: Kinds): Readonly<Record<string, Entries>> {
  return Object.fromEntries(
    Object.entries(entriesOf(entriesOf(data).consumers)).map(([name, consumer]) => {
      const kind = kindOf(consumer);
      return [name, kind === null ? {} : consumerLayer(kinds[kind])];
    }),
  );
}

/** The file over its kinds. `stateDir` stands in where the file names no folder. */
export function layered(data: unknown, layers: Readonly<Record<string, Entries>>, stateDir: string): Entries {
  const file = entriesOf(data);
  const consumers = Object.entries(entriesOf(file.consumers)).map(([name, given]) => {
    const consumer = entriesOf(given);
    const layer = layers[name] ?? {};
    const paths = { ...entriesOf(layer.paths), ...entriesOf(consumer.paths) };
    return [name, { ...layer, ...consumer, paths }];
  });
  return { state_dir: stateDir, ...file, consumers: Object.fromEntries(consumers) };
}
