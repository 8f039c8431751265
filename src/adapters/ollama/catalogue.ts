/**
 * One name for one set of weights. Read at v0.33: a name without a tag means `:latest`; two tags on the same weights
 * share one runner, and unloading either unloads both; models of the cloud use no card. A short-lived memo of
 * `/api/tags`, kept by configuration object, so that it goes with it; no truth of its own.
 */
import { z } from 'zod';
import type { ConsumerConfiguration } from '../../config/configuration.js';
import { askService } from '../asking.js';

const tagsSchema = z.object({
  models: z
    .array(
      z.object({
        name: z.string(),
        digest: z.string().default(''),
        remote_host: z.string().nullish(),
        size: z.number().nullish(),
      }),
    )
    .nullish(),
});

type ListedModel = NonNullable<z.infer<typeof tagsSchema>['models']>[number];

/** Weights and what goes with them, by the size of the file. */
const MEMORY_PER_FILE = 1.2;
const BYTES_PER_MIB = 1024 * 1024;
const MEMO_MS = 10_000;
const ANSWER_MS = 2000;

export interface Catalogue {
  /** The name that stands for these weights: the first, by alphabet, of those that share them. */
  nameOf(name: string): string;
  isElsewhere(name: string): boolean;
  /** What its weights will take with room for the context, from the size of its file; null: not known. */
  guessMib(name: string): number | null;
}

const memos = new WeakMap<ConsumerConfiguration, { readonly at: number; readonly catalogue: Promise<Catalogue> }>();

/** Never rejects: without an answer names are taken as they are. */
export function catalogueOf(consumer: ConsumerConfiguration): Promise<Catalogue> {
  const memo = memos.get(consumer);
  if (memo !== undefined && performance.now() - memo.at < MEMO_MS) return memo.catalogue;
  const catalogue = fetchCatalogue(consumer).catch(() => {
    memos.delete(consumer);
    return new Names([]);
  });
  memos.set(consumer, { at: performance.now(), catalogue });
  return catalogue;
}

async function fetchCatalogue(consumer: ConsumerConfiguration): Promise<Catalogue> {
  const { body } = await askService(consumer, { method: 'GET', path: '/api/tags', timeoutMs: ANSWER_MS });
  return new Names(tagsSchema.parse(JSON.parse(body.toString('utf8'))).models ?? []);
}

export const withTag = (name: string): string => (/:[^/]*$/.test(name) ? name : `${name}:latest`);

class Names implements Catalogue {
  readonly #digests = new Map<string, string>();
  readonly #firstOf = new Map<string, string>();
  readonly #remote = new Set<string>();
  readonly #sizes = new Map<string, number>();

  constructor(models: readonly ListedModel[]) {
    for (const { name, digest, remote_host, size } of [...models].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      this.#digests.set(name, digest);
      if (digest !== '' && !this.#firstOf.has(digest)) this.#firstOf.set(digest, name);
      if (size != null) this.#sizes.set(name, size);
      if (remote_host != null && remote_host !== '') this.#remote.add(name);
    }
  }

  nameOf(name: string): string {
    const full = withTag(name);
    const digest = this.#digests.get(full) ?? '';
    return this.#firstOf.get(digest) ?? full;
  }

  guessMib(name: string): number | null {
    const sizeBytes = this.#sizes.get(withTag(name));
    return sizeBytes === undefined ? null : Math.ceil((sizeBytes * MEMORY_PER_FILE) / BYTES_PER_MIB);
  }

  isElsewhere(name: string): boolean {
    return this.#remote.has(withTag(name)) || /[-:]cloud$/.test(name);
  }
}
