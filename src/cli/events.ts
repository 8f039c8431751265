/** `mgpu events`: follows what happens, one line an event, and connects again when the stream ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from './client.js';
import { eventLine } from './event-line.js';
import { eventsOf } from './event-stream.js';
import { Unreachable } from './failures.js';
import { printLines } from './screen.js';
import { stopSignal } from './stop-signal.js';
import { clockTime } from './words.js';

/** The daemon says something every 15 s, even if it is only that it is still there. */
const SILENCE_MS = 45_000;
const AGAIN_AFTER_MS = 2000;

/** Ends with a signal. Events go to stdout, notes about the connection to stderr. */
export async function eventsCommand(client: Client): Promise<void> {
  const signal = stopSignal();
  let wasConnected = false;
  let goneNote = false;
  while (!signal.aborted) {
    let cause = 'the stream ended';
    try {
      const stream = await client.open('/v1/events', { silenceMs: SILENCE_MS, signal });
      if (wasConnected) note('connected again; what happened in between is in `mgpu status` and `mgpu why`');
      wasConnected = true;
      goneNote = false;
      for await (const event of eventsOf(stream)) printLines(process.stdout, [eventLine(event)]);
    } catch (error) {
      if (signal.aborted) return;
      // The first time it is the answer; later it is a daemon that is being restarted.
      if (!wasConnected || (error instanceof Error && error.name === 'Refusal')) throw error;
      cause = error instanceof Unreachable ? error.causeText : error instanceof Error ? error.message : String(error);
    }
    if (signal.aborted) return;
    if (!goneNote)
      note(`connection to ${client.address.url} lost (${cause}); trying again every ${AGAIN_AFTER_MS / 1000} s`);
    goneNote = true;
    await sleep(AGAIN_AFTER_MS, undefined, { signal }).catch(() => undefined);
  }
}

const note = (text: string): void => printLines(process.stderr, [`${clockTime(Date.now())}  -- ${text}`]);
