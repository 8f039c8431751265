/**
 * Whatever serves the OpenAI API: llama-server (read at b10573), vLLM, speaches, Kokoro-FastAPI, llama-swap. Taken for
 * a service with one model that is in memory while its process runs; what unloads it is said in the configuration.
 * Closing the connection cancels; llama-server notices that only while it streams, so its slots are asked.
 */
import type { Adapter } from '../adapter.js';
import { watchStream } from '../answer-streams.js';
import { outOfMemoryAnswer } from '../out-of-memory.js';
import { meantPath } from '../request-paths.js';
import { treat } from '../request-treatment.js';
import { listModels } from './models.js';
import { untilSlotsAreIdle } from './slots.js';

/** Loads, unloads or changes something for everybody, at one of these services or another. */
const OPERATOR = [
  'POST /models/*',
  'POST /v1/models/*',
  'DELETE /v1/models/*',
  'POST /api/models/*',
  '* /unload',
  'POST /props',
  'POST /slots/*',
  'POST /lora-adapters',
  'POST /sleep',
  'POST /wake_up',
  'POST /api/ps/*',
  'DELETE /api/ps/*',
  'POST /dev/unload',
];
/** llama-server's router loads the model that such a question names; llama-swap that of anything below `/upstream`. */
const LOADING_READ = /^\/(props|slots|metrics)$/;

export const openai: Adapter = {
  kind: 'openai',
  defaults: {
    url: 'http://127.0.0.1:8080',
    health: '/health',
    paths: {
      llm: '/v1/chat/completions',
      tts: '/v1/audio/speech',
      stt: '/v1/audio/transcriptions',
      image: '/v1/images/generations',
    },
    passes: ['POST /tokenize', 'POST /detokenize', 'POST /apply-template'],
    class: 'interactive',
    // llama-server's own number of slots.
    parallel: 4,
    drain: '1s',
  },

  treatment(request, consumer) {
    const treatment = treat(request, consumer, OPERATOR);
    if (treatment === 'operator') return treatment;
    const path = meantPath(request.path);
    if (LOADING_READ.test(path) && /[?&]model=/.test(request.query) && !/[?&]autoload=false/.test(request.query)) {
      return 'operator';
    }
    return path.startsWith('/upstream/') ? 'job' : treatment;
  },

  powers: { loads: 'at_start', swaps: 'consumer', unloads: false, asksForeignWork: false },
  need: () => Promise.resolve({ model: null, usesCard: true }),
  outOfMemory: outOfMemoryAnswer,

  openaiPaths: {
    chat: '/v1/chat/completions',
    completions: '/v1/completions',
    embeddings: '/v1/embeddings',
    responses: '/v1/responses',
    messages: '/v1/messages',
    count_tokens: '/v1/messages/count_tokens',
    transcriptions: '/v1/audio/transcriptions',
    translations: '/v1/audio/translations',
    speech: '/v1/audio/speech',
    images: '/v1/images/generations',
  },
  listModels,

  watch: (request, head) => watchStream(head, meantPath(request.path)),
  workAfterAnswer: () => null,
  brokenOff: (_workId, consumer) => untilSlotsAreIdle(consumer),
  errorBody: (error) => ({ contentType: 'application/json; charset=utf-8', body: JSON.stringify(error) }),
};
