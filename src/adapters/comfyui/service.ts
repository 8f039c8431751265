/**
 * What ComfyUI says when asked about a prompt. Read at 0.3.64 and 0.26: `GET /history/ID` is `{}` until the prompt is
 * over, for an unknown id too; `GET /queue` lists `[number, id, …]`; both are in memory and gone after a restart.
 */
import { z } from 'zod';
import type { ConsumerConfiguration } from '../../config/configuration.js';
import type { WorkVerdict } from '../adapter.js';
import { askService } from '../asking.js';
import { outOfMemoryIn } from '../out-of-memory.js';

/** It answers late under heavy tensor work: up to half a second was seen. */
const ANSWER_MS = 10_000;

const failure = z.object({
  exception_type: z.string().optional(),
  exception_message: z.string().optional(),
  node_type: z.string().optional(),
});
const entrySchema = z.object({
  status: z
    .object({
      status_str: z.string().optional(),
      messages: z.array(z.tuple([z.string(), z.unknown()])).default([]),
    })
    .nullish(),
});
const historySchema = z.record(z.string(), entrySchema);
const queued = z.tuple([z.unknown(), z.string()]).rest(z.unknown());
const queueSchema = z.object({ queue_running: z.array(queued), queue_pending: z.array(queued) });
const remainingSchema = z.object({ exec_info: z.object({ queue_remaining: z.number() }) });

/** null: not over, or unknown. */
export async function historyVerdict(consumer: ConsumerConfiguration, id: string): Promise<WorkVerdict | null> {
  const path = `/history/${encodeURIComponent(id)}`;
  const { body } = await askService(consumer, { method: 'GET', path, timeoutMs: ANSWER_MS });
  const entry = historySchema.parse(JSON.parse(body.toString('utf8')))[id];
  return entry === undefined ? null : verdictOf(entry);
}

/** `status_str` can be `success` for a graph that failed before its first node ran: the messages decide. */
function verdictOf({ status }: z.infer<typeof entrySchema>): WorkVerdict {
  for (const [name, data] of status?.messages ?? []) {
    if (name === 'execution_interrupted') return { end: 'failed', message: 'the prompt was interrupted at ComfyUI' };
    if (name !== 'execution_error') continue;
    const told = failure.safeParse(data);
    const { node_type: node, exception_type: type, exception_message: text } = told.success ? told.data : {};
    const outOfMemory = outOfMemoryIn(`${type ?? ''} ${text ?? ''}`) !== null;
    return { end: 'failed', message: `${type ?? 'error'} in ${node ?? 'a node'}: ${(text ?? '').trim()}`, outOfMemory };
  }
  if (status?.status_str === 'error') return { end: 'failed', message: 'ComfyUI says that the prompt failed' };
  return { end: 'done' };
}

export interface Whereabouts {
  readonly running: boolean;
  readonly pending: boolean;
}

export async function whereabouts(consumer: ConsumerConfiguration, id: string): Promise<Whereabouts> {
  const { body } = await askService(consumer, { method: 'GET', path: '/queue', timeoutMs: ANSWER_MS });
  const queue = queueSchema.parse(JSON.parse(body.toString('utf8')));
  return {
    running: queue.queue_running.some(([, other]) => other === id),
    pending: queue.queue_pending.some(([, other]) => other === id),
  };
}

/** Running and pending prompts, whosever they are. */
export async function remaining(consumer: ConsumerConfiguration, timeoutMs = ANSWER_MS): Promise<number> {
  const { body } = await askService(consumer, { method: 'GET', path: '/prompt', timeoutMs });
  return remainingSchema.parse(JSON.parse(body.toString('utf8'))).exec_info.queue_remaining;
}

export async function removePending(consumer: ConsumerConfiguration, id: string): Promise<void> {
  await askService(consumer, { method: 'POST', path: '/queue', json: { delete: [id] }, timeoutMs: ANSWER_MS });
}

/** Older versions take no id and interrupt whoever runs: call it only for one that is seen running. */
export async function interrupt(consumer: ConsumerConfiguration, id: string): Promise<void> {
  await askService(consumer, { method: 'POST', path: '/interrupt', json: { prompt_id: id }, timeoutMs: ANSWER_MS });
}

/** Answered at once, done by its worker afterwards. An empty body is an error to it. */
export async function free(consumer: ConsumerConfiguration, timeoutMs: number): Promise<void> {
  const json = { unload_models: true, free_memory: true };
  const { status } = await askService(consumer, { method: 'POST', path: '/free', json, timeoutMs });
  if (status !== 200) throw new Error(`${consumer.id} answered ${status} to POST /free`);
}
