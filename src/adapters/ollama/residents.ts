/**
 * What is loaded in ollama, and loading and unloading by name. Read at v0.33: an unload is a promise; the model leaves
 * `/api/ps` when its child has been killed, and that listing can block for seconds meanwhile: its silence is no sign.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import type { ConsumerConfiguration } from '../../config/configuration.js';
import type { ConsumerAnswer } from '../../core/events.js';
import { askService } from '../asking.js';
import { catalogueOf } from './catalogue.js';

const psSchema = z.object({
  models: z.array(z.object({ name: z.string(), size_vram: z.number().default(0) })).nullish(),
});
/** The listing waits for a lock that is held while a child is killed and its memory comes back: up to 5 s. */
const LISTING_MS = 8000;
const LOOK_AGAIN_MS = 100;
const BYTES_PER_MIB = 1024 * 1024;

async function listed(consumer: ConsumerConfiguration, timeoutMs: number) {
  const { body } = await askService(consumer, { method: 'GET', path: '/api/ps', timeoutMs });
  return psSchema.parse(JSON.parse(body.toString('utf8'))).models ?? [];
}

export async function askLoaded(consumer: ConsumerConfiguration): Promise<ConsumerAnswer | null> {
  try {
    const catalogue = await catalogueOf(consumer);
    const loaded = (await listed(consumer, LISTING_MS)).map((model) => ({
      model: catalogue.nameOf(model.name),
      mib: Math.round(model.size_vram / BYTES_PER_MIB),
    }));
    return { loaded, work: null };
  } catch {
    return null;
  }
}

export async function loadModel(
  model: string | null,
  consumer: ConsumerConfiguration,
  timeoutMs: number,
): Promise<void> {
  if (model === null) throw new Error(`name a model: ${consumer.id}/MODEL`);
  const said = await post(consumer, '/api/generate', { model, stream: false }, timeoutMs);
  if (said === null) return;
  // A model for embeddings only is loaded by asking for none.
  const embeds = /does not support generate/.test(said);
  const again = embeds ? await post(consumer, '/api/embed', { model, input: [] }, timeoutMs) : said;
  if (again !== null) throw new Error(`${consumer.id} did not load ${model}: ${again}`);
}

/** null: a status of 200; else what was said. */
async function post(
  consumer: ConsumerConfiguration,
  path: string,
  json: object,
  timeoutMs: number,
): Promise<string | null> {
  const { status, body } = await askService(consumer, { method: 'POST', path, json, timeoutMs });
  return status === 200 ? null : `${status} ${body.toString('utf8').slice(0, 300)}`;
}

export async function unloadModel(
  model: string | null,
  consumer: ConsumerConfiguration,
  timeoutMs: number,
): Promise<void> {
  const endAt = performance.now() + timeoutMs;
  const left = () => Math.max(1, endAt - performance.now());
  const catalogue = await catalogueOf(consumer);
  const meant = (name: string): boolean => model === null || catalogue.nameOf(name) === model;
  const names = (await listed(consumer, left())).map(({ name }) => name).filter(meant);
  // Not listed yet may be loading past us: asked all the same, it costs nothing.
  for (const name of names.length === 0 && model !== null ? [model] : names) {
    const said = await post(consumer, '/api/generate', { model: name, keep_alive: 0, stream: false }, left());
    if (said !== null) throw new Error(`${consumer.id} did not unload ${name}: ${said}`);
  }
  await untilUnlisted(consumer, meant, left);
}

async function untilUnlisted(
  consumer: ConsumerConfiguration,
  meant: (name: string) => boolean,
  left: () => number,
): Promise<void> {
  for (;;) {
    const listing = await listed(consumer, Math.min(LISTING_MS, left())).catch(() => null);
    if (listing !== null && !listing.some(({ name }) => meant(name))) return;
    if (left() <= 1) throw new Error(`${consumer.id} still lists the model as loaded`);
    await pause(Math.min(LOOK_AGAIN_MS, left()));
  }
}
