/** Takes a prompt back at ComfyUI, whose jobs no closed connection ends. Never touches anybody else's. */
import type { ConsumerConfiguration } from '../../config/configuration.js';
import { lookUntil } from './looking.js';
import { interrupt, promptQueue, removePending } from './service.js';

/**
 * Resolves when the prompt has left the queue, or its process is gone, or after `timeouts.run`: an interrupt takes
 * effect between steps and nodes only, so it is asked for again until it does. Never rejects.
 */
export async function cancelPrompt(id: string, consumer: ConsumerConfiguration): Promise<void> {
  const { runMs } = consumer.timeouts;
  const look = async (): Promise<true | null> => {
    const { running, pending } = await promptQueue(consumer);
    if (pending.has(id)) await removePending(consumer, id);
    else if (running.has(id)) await interrupt(consumer, id);
    else return true;
    return null;
  };
  await lookUntil(look, { silentMs: runMs, longestMs: runMs });
}
