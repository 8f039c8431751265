/** The uploads of `test/unit/openai-uploads.test.ts` with the pauses of slow senders: 1 ms a KiB, 2 s between halves. */
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { checkUploads } from '../support/upload-case.js';

test('8 MiB of awkward bytes, sent slowly, arrive as they are', { timeout: 600_000 }, async (t) => {
  await checkUploads(t, { chunk: () => pause(1), half: () => pause(2000) });
});
