/** Sound in a form, however it is sent: the bytes, the names and the fields that the service gets. */
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { checkUploads } from '../support/upload-case.js';

test('8 MiB of awkward bytes arrive as they are, in one framing, by every route and every way', {
  timeout: 120_000,
}, async (t) => {
  // Each piece is in an event of its own; `npm run test:long` pauses as long as slow senders do.
  await checkUploads(t, { chunk: () => turn(), half: () => turn() });
});
