/**
 * What ComfyUI says when asked about its prompts. Read at 0.3.64 and 0.26: `GET /history/ID` is `{}` until the prompt is
 * over, for an unknown id too; `GET /queue` lists `[number, id, …]`; both are in memory and gone after a restart; a
 * prompt goes from the queue to the history in one step. Both show whole graphs, with pictures in them where a client
 * put some there, so they are read as they come and never held. Everything rejects as `askService` does, and on an
 * answer that is not what was asked for.
 */
import { z } from 'zod';
import type { ConsumerConfiguration } from '../../config/configuration.js';
import { type JsonVisit, JsonWalk, type JsonWalkLimits } from '../../server/json-walk.js';
import type { WorkVerdict } from '../adapter.js';
import { askService } from '../asking.js';
import { HistoryEntry } from './history-entry.js';

/** It answers late under heavy tensor work: up to half a second was seen. */
const ANSWER_MS = 10_000;

const remainingSchema = z.object({ exec_info: z.object({ queue_remaining: z.number() }) });

const answerMs = ({ timeouts }: ConsumerConfiguration): number => Math.min(ANSWER_MS, timeouts.runMs);

async function read(
  consumer: ConsumerConfiguration,
  path: string,
  limits: JsonWalkLimits,
  visit: JsonVisit,
): Promise<void> {
  const walk = new JsonWalk(limits, visit);
  const piece = (chunk: Buffer) => walk.take(chunk);
  const { status } = await askService(consumer, { method: 'GET', path, timeoutMs: answerMs(consumer), piece });
  if (status === 200 && walk.state === 'whole') return;
  throw new Error(`${consumer.id} answered GET ${path} with ${status} and no whole JSON`);
}

/** null: not over, or unknown. */
export async function historyVerdict(consumer: ConsumerConfiguration, id: string): Promise<WorkVerdict | null> {
  const entry = new HistoryEntry(id);
  const limits = { deepest: 6, longestTextBytes: 16 * 1024 };
  await read(consumer, `/history/${encodeURIComponent(id)}`, limits, (path, text) => entry.take(path, text));
  return entry.verdict();
}

/** Ids, whosever they are. */
export interface PromptQueue {
  readonly running: ReadonlySet<string>;
  readonly pending: ReadonlySet<string>;
}

export async function promptQueue(consumer: ConsumerConfiguration): Promise<PromptQueue> {
  const lists = { queue_running: new Set<string>(), queue_pending: new Set<string>() };
  const seen = new Set<unknown>();
  await read(consumer, '/queue', { deepest: 3, longestTextBytes: 1024 }, ([list, _place, at], text) => {
    seen.add(list);
    if (at === 1 && text !== null && (list === 'queue_running' || list === 'queue_pending')) lists[list].add(text);
  });
  if (!seen.has('queue_running') || !seen.has('queue_pending')) {
    throw new Error(`${consumer.id} answered GET /queue without its two lists`);
  }
  return { running: lists.queue_running, pending: lists.queue_pending };
}

/** Running and pending prompts, whosever they are: the cheapest of its answers. */
export async function remaining(consumer: ConsumerConfiguration, timeoutMs = ANSWER_MS): Promise<number> {
  const { body } = await askService(consumer, { method: 'GET', path: '/prompt', timeoutMs });
  return remainingSchema.parse(JSON.parse(body.toString('utf8'))).exec_info.queue_remaining;
}

export async function removePending(consumer: ConsumerConfiguration, id: string): Promise<void> {
  await askService(consumer, { method: 'POST', path: '/queue', json: { delete: [id] }, timeoutMs: answerMs(consumer) });
}

/** Older versions take no id and interrupt whoever runs: call it only for one that is seen running. */
export async function interrupt(consumer: ConsumerConfiguration, id: string): Promise<void> {
  const json = { prompt_id: id };
  await askService(consumer, { method: 'POST', path: '/interrupt', json, timeoutMs: answerMs(consumer) });
}

/** Answered at once, done by its worker afterwards. An empty body is an error to it. */
export async function free(consumer: ConsumerConfiguration, timeoutMs: number): Promise<void> {
  const json = { unload_models: true, free_memory: true };
  const { status } = await askService(consumer, { method: 'POST', path: '/free', json, timeoutMs });
  if (status !== 200) throw new Error(`${consumer.id} answered ${status} to POST /free`);
}
