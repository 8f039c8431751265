/**
 * Follows a prompt to its end. Polls: ComfyUI's websocket is faster, but loses events on a reconnect, and a second
 * socket with a client's id would take the client's events away.
 */
import type { ConsumerConfiguration } from '../../config/configuration.js';
import type { WorkVerdict } from '../adapter.js';
import { lookUntil } from './looking.js';
import { historyVerdict, promptQueue } from './service.js';

/** The queue's listing holds whole graphs: it is not asked for at each look, and more seldom the longer it takes. */
const LOOK_AT_QUEUE_EVERY_MS = 2000;
const QUEUE_LOOK_SHARE = 0.05;

const GONE: WorkVerdict = { end: 'lost', message: 'ComfyUI ended while the prompt was in its queue' };
const LOST: WorkVerdict = {
  end: 'lost',
  message: 'the prompt is in neither the queue nor the history of ComfyUI: it was restarted or cleared',
};

/** Resolves when the prompt is over. While ComfyUI answers and its queue shows the prompt, there is no limit of time. */
export async function followPrompt(
  id: string,
  consumer: ConsumerConfiguration,
  signal: AbortSignal,
): Promise<WorkVerdict> {
  let lookAtQueueAt = performance.now() + LOOK_AT_QUEUE_EVERY_MS / 4;

  async function look(): Promise<WorkVerdict | null> {
    const verdict = await historyVerdict(consumer, id);
    const askedAt = performance.now();
    if (verdict === null && askedAt < lookAtQueueAt) return null;
    if (await isQueued(id, consumer)) {
      // An entry beside a place in the queue is an older prompt's, sent under the same id.
      const now = performance.now();
      lookAtQueueAt = now + Math.max(LOOK_AT_QUEUE_EVERY_MS, (now - askedAt) / QUEUE_LOOK_SHARE);
      return null;
    }
    // It leaves the queue and enters the history in one step: what is in neither, asked in this order, is gone.
    return (await historyVerdict(consumer, id)) ?? LOST;
  }

  const { runMs } = consumer.timeouts;
  const end = await lookUntil(look, { silentMs: runMs, signal });
  if (end === 'gone') return GONE;
  if (end === 'silent') return { end: 'lost', message: `ComfyUI has given no answer for ${runMs} ms (timeouts.run)` };
  // Given up by the caller, who no longer listens.
  return end === 'given_up' ? LOST : end.seen;
}

async function isQueued(id: string, consumer: ConsumerConfiguration): Promise<boolean> {
  const { running, pending } = await promptQueue(consumer);
  return running.has(id) || pending.has(id);
}
