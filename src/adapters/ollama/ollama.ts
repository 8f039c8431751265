/**
 * ollama. Read at v0.33: models load by their jobs and leave by themselves or when asked; a job ends with its answer;
 * closing the connection cancels, in every phase, and the child that computes notices within about a second.
 */
import type { Adapter } from '../adapter.js';
import { watchStream } from '../answer-streams.js';
import { topLevelString } from '../json-member.js';
import { outOfMemoryAnswer } from '../out-of-memory.js';
import { meantPath } from '../request-paths.js';
import { treat } from '../request-treatment.js';
import { untilDrained } from '../winding-down.js';
import { catalogueOf, listModels } from './catalogue.js';
import { askLoaded, loadModel, unloadModel } from './residents.js';

/** What changes the store of models for everybody. */
const OPERATOR = [
  'POST /api/pull',
  'POST /api/push',
  'POST /api/create',
  'POST /api/copy',
  '* /api/delete',
  'DELETE /*',
  'POST /api/blobs/*',
  'POST /api/signout',
];

export const ollama: Adapter = {
  kind: 'ollama',
  defaults: {
    url: 'http://127.0.0.1:11434',
    // Answers while a model loads or runs.
    health: '/api/version',
    paths: { llm: '/api/chat' },
    passes: ['POST /api/show', 'POST /api/me'],
    class: 'interactive',
    parallel: 1,
    drain: '1s',
  },

  treatment: (request, consumer) => treat(request, consumer, OPERATOR),

  powers: { loads: 'by_job', swaps: 'models', unloads: true, asksForeignWork: false },

  async need(_request, contentType, body, consumer) {
    // A client may leave the type out; a form is no JSON, whatever it is called.
    const form = contentType?.startsWith('multipart/') === true;
    const name = form ? null : await topLevelString(body, 'model');
    if (name === null) return { model: null, usesCard: true };
    const catalogue = await catalogueOf(consumer);
    const guessMib = catalogue.guessMib(name);
    return {
      model: catalogue.nameOf(name),
      usesCard: !catalogue.isElsewhere(name),
      ...(guessMib === null ? {} : { guessMib }),
    };
  },

  load: loadModel,
  unload: unloadModel,
  ask: askLoaded,
  outOfMemory: outOfMemoryAnswer,

  openaiPaths: {
    chat: '/v1/chat/completions',
    completions: '/v1/completions',
    embeddings: '/v1/embeddings',
    responses: '/v1/responses',
    messages: '/v1/messages',
  },
  listModels,

  watch: (request, head) => watchStream(head, meantPath(request.path)),
  workAfterAnswer: () => null,
  brokenOff: (_workId, consumer) => untilDrained(consumer),
  errorBody: (error) => ({
    contentType: 'application/json; charset=utf-8',
    body: JSON.stringify({ error: error.message }),
  }),
};
