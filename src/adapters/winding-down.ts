/** How long work goes on that was broken off, where the service cannot be asked: a time of its kind, or its process' end. */
import { setTimeout as pause } from 'node:timers/promises';
import type { ConsumerConfiguration } from '../config/configuration.js';
import { isListening } from './asking.js';

const LOOK_EVERY_MS = 500;

/** Resolves after the consumer's `drain`, at once when nobody listens at its address any more. Never rejects. */
export async function untilDrained(consumer: ConsumerConfiguration): Promise<void> {
  const endAt = performance.now() + consumer.drainMs;
  for (let leftMs = consumer.drainMs; leftMs > 0; leftMs = endAt - performance.now()) {
    const lookMs = Math.min(LOOK_EVERY_MS, leftMs);
    if (!(await isListening(consumer, lookMs))) return;
    // A timer may fire up to a millisecond early; the loop looks at the clock again.
    await pause(Math.max(1, Math.min(LOOK_EVERY_MS, endAt - performance.now())));
  }
}
