/**
 * whisper.cpp's server. Read at v1.9.3: the model loads before the port opens; one inference at a time behind a mutex;
 * a client's leaving is noticed after each encoder pass and decoded token; errors leave as plain text.
 *
 * `GET /health` exists since v1.7.5. While `POST /load` swaps the model, and for good after one that failed, it answers
 * 404 although jobs still work, as it does on older builds: a 404 of whisper-server is no sign of ill health.
 */
import type { Adapter } from '../adapter.js';
import { outOfMemoryAnswer } from '../out-of-memory.js';
import { treat } from '../request-treatment.js';
import { untilDrained } from '../winding-down.js';

/** Swaps the model, and ends the process where it cannot; `--request-path` may put anything before it. */
const OPERATOR = ['POST /load', 'POST /*/load'];

export const whisperServer: Adapter = {
  kind: 'whisper-server',
  defaults: {
    url: 'http://127.0.0.1:8178',
    health: { path: '/health', expect: [200, 404] },
    paths: { stt: '/inference' },
    passes: [],
    class: 'interactive',
    parallel: 1,
    // It aborts within about 2 s of work on a CPU, faster on a card.
    drain: '3s',
  },

  treatment: (request, consumer) => treat(request, consumer, OPERATOR),

  // Its memory is held as long as its process runs; only stopping that gives it back.
  powers: { loads: 'at_start', swaps: 'consumer', unloads: false, asksForeignWork: false },
  need: () => Promise.resolve({ model: null, usesCard: true }),
  outOfMemory: outOfMemoryAnswer,
  watch: () => null,
  workAfterAnswer: () => null,
  brokenOff: (_workId, consumer) => untilDrained(consumer),
  errorBody: (error) => ({ contentType: 'application/json', body: JSON.stringify({ error: error.message }) }),
};
