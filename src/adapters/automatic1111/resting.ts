/** Ends a job that was broken off: nothing but an interrupt does. Keeps nothing. */
import { setTimeout as pause } from 'node:timers/promises';
import type { ConsumerConfiguration } from '../../config/configuration.js';
import { ServiceGone } from '../asking.js';
import { interrupt, workOf } from './service.js';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;

/**
 * Resolves when it works no more, or is gone; at the latest after `timeouts.run`. An interrupt hits whichever job runs,
 * so only the one that is seen first is interrupted; whose it is cannot be told. Never rejects.
 */
export async function untilItRests(consumer: ConsumerConfiguration): Promise<void> {
  const endAt = performance.now() + consumer.timeouts.runMs;
  let first: { readonly task: string | null } | null = null;
  for (let pauseMs = FIRST_PAUSE_MS; performance.now() < endAt; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.5)) {
    await pause(pauseMs);
    try {
      const work = await workOf(consumer);
      if (work === null) return;
      first ??= work;
      // Again and again: one that comes before the job has begun is forgotten when it does.
      if (work.task === first.task) await interrupt(consumer);
    } catch (error) {
      if (error instanceof ServiceGone) return;
    }
  }
}
