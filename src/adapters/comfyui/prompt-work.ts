/**
 * Follows a prompt to its end, and ends one that was broken off. Polls; ComfyUI's websocket is faster, but loses events
 * on a reconnect, and a second socket with a client's id would take the client's events away.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { ConsumerConfiguration } from '../../config/configuration.js';
import type { WorkVerdict } from '../adapter.js';
import { ServiceGone } from '../asking.js';
import { historyVerdict, interrupt, remaining, removePending, whereabouts } from './service.js';

const FIRST_LOOK_MS = 50;
const LONGEST_PAUSE_MS = 500;
/** The queue's listing holds whole graphs: it is not asked for at each look. */
const LOOK_AT_QUEUE_EVERY_MS = 2000;
/** A cut request may still have been taken: so long is waited for the queue to be empty, without an id. */
const NAMELESS_WORK_MS = 5000;

const GONE: WorkVerdict = { end: 'lost', message: 'ComfyUI ended while the prompt was in its queue' };
const LOST: WorkVerdict = {
  end: 'lost',
  message: 'the prompt is in neither the queue nor the history of ComfyUI: it was restarted or cleared',
};

/** Resolves when the prompt is over; while the queue shows it, there is no limit of time. */
export async function followPrompt(
  id: string,
  consumer: ConsumerConfiguration,
  signal: AbortSignal,
): Promise<WorkVerdict> {
  let pauseMs = FIRST_LOOK_MS;
  let seenInQueueAt = performance.now();
  let lookAtQueueAt = performance.now() + LOOK_AT_QUEUE_EVERY_MS / 4;
  let silentSince: number | null = null;
  while (!signal.aborted) {
    await pause(pauseMs);
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.5);
    try {
      const verdict = await historyVerdict(consumer, id);
      if (verdict !== null) return verdict;
      if (performance.now() >= lookAtQueueAt) {
        if (await isLost(id, consumer)) return LOST;
        seenInQueueAt = performance.now();
        lookAtQueueAt = seenInQueueAt + LOOK_AT_QUEUE_EVERY_MS;
      }
      silentSince = null;
    } catch (error) {
      if (error instanceof ServiceGone) return GONE;
      // Late, or garbage for once: a busy event loop is no lost prompt.
      silentSince ??= performance.now();
      if (performance.now() - silentSince > consumer.timeouts.runMs) {
        const minutes = Math.round(consumer.timeouts.runMs / 60_000);
        return { end: 'lost', message: `ComfyUI has not answered for ${minutes} min (timeouts.run)` };
      }
    }
  }
  return LOST;
}

/** The order matters: a prompt leaves the queue after its history entry is there, so what is in neither is gone. */
async function isLost(id: string, consumer: ConsumerConfiguration): Promise<boolean> {
  const where = await whereabouts(consumer, id);
  if (where.running || where.pending) return false;
  return (await historyVerdict(consumer, id)) === null;
}

/** Takes the prompt back and resolves when it has left the queue, or its process is gone. Never rejects. */
export async function cancelPrompt(id: string, consumer: ConsumerConfiguration): Promise<void> {
  const endAt = performance.now() + consumer.timeouts.runMs;
  for (let pauseMs = FIRST_LOOK_MS; performance.now() < endAt; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.5)) {
    try {
      const where = await whereabouts(consumer, id);
      if (!where.running && !where.pending) return;
      if (where.pending) await removePending(consumer, id);
      if (where.running) await interrupt(consumer, id);
    } catch (error) {
      if (error instanceof ServiceGone) return;
    }
    await pause(pauseMs);
  }
}

/** The prompt's name was never seen: it may not have been taken at all. Never rejects. */
export async function untilQueueIsEmpty(consumer: ConsumerConfiguration): Promise<void> {
  const endAt = performance.now() + NAMELESS_WORK_MS;
  while (performance.now() < endAt) {
    try {
      if ((await remaining(consumer)) === 0) return;
    } catch (error) {
      if (error instanceof ServiceGone) return;
    }
    await pause(LONGEST_PAUSE_MS);
  }
}
