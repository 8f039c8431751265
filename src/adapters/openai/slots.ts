/**
 * When work that was broken off is over. llama-server (b10573) tells by its slots; a job that is not streamed goes on
 * to its end there, whoever left. Others have no such route: then the consumer's `drain` must do.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import type { ConsumerConfiguration } from '../../config/configuration.js';
import { askService, ServiceGone } from '../asking.js';
import { untilDrained } from '../winding-down.js';

const slotsSchema = z.array(z.object({ is_processing: z.boolean() }));
const ANSWER_MS = 2000;
const FIRST_LOOK_MS = 25;
const LONGEST_PAUSE_MS = 500;

/** Resolves when no slot works any more, or `drain` is over where slots cannot be seen. Never rejects. */
export async function untilSlotsAreIdle(consumer: ConsumerConfiguration): Promise<void> {
  const endAt = performance.now() + consumer.timeouts.runMs;
  for (let pauseMs = FIRST_LOOK_MS; performance.now() < endAt; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
    await pause(pauseMs);
    const busy = await isBusy(consumer);
    if (busy === null) return untilDrained(consumer);
    if (!busy) return;
  }
}

/** null: it cannot be seen. A service that is gone works no more. */
async function isBusy(consumer: ConsumerConfiguration): Promise<boolean | null> {
  try {
    const { status, body } = await askService(consumer, { method: 'GET', path: '/slots', timeoutMs: ANSWER_MS });
    if (status !== 200) return null;
    return slotsSchema.parse(JSON.parse(body.toString('utf8'))).some((slot) => slot.is_processing);
  } catch (error) {
    return error instanceof ServiceGone ? false : null;
  }
}
