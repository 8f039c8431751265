/** Waits for a prompt of ours whose name nobody knows: its request was cut, and ComfyUI may have taken it all the same. */
import { setTimeout as pause } from 'node:timers/promises';
import type { ConsumerConfiguration } from '../../config/configuration.js';
import { lookUntil } from './looking.js';
import { promptQueue } from './service.js';

/** A request that was sent is in the queue by then: ComfyUI was seen to answer up to half a second late. */
const TAKEN_WITHIN_MS = 750;

/**
 * Resolves when all that the queue showed shortly after the cut have left it, or the process is gone, or after
 * `timeouts.run`. Ours is among them if it was taken; nobody can tell which, so none is cancelled, and none that came
 * later is waited for. Never rejects.
 */
export async function untilNamelessIsOver(consumer: ConsumerConfiguration): Promise<void> {
  const { runMs } = consumer.timeouts;
  await pause(TAKEN_WITHIN_MS);
  let suspects: ReadonlySet<string> | null = null;
  const look = async (): Promise<true | null> => {
    const queued = await queuedIds(consumer);
    suspects ??= queued;
    return [...suspects].some((id) => queued.has(id)) ? null : true;
  };
  await lookUntil(look, { silentMs: runMs, longestMs: runMs });
}

async function queuedIds(consumer: ConsumerConfiguration): Promise<ReadonlySet<string>> {
  const { running, pending } = await promptQueue(consumer);
  return new Set([...running, ...pending]);
}
