/**
 * ComfyUI. Read at 0.3.64 and 0.26: `POST /prompt` answers before any work; its queue works one prompt at a time;
 * closing a connection cancels nothing; every route exists below `/api` as well.
 */
import type { Adapter, RequestLine } from '../adapter.js';
import { outOfMemoryAnswer } from '../out-of-memory.js';
import { meantPath } from '../request-paths.js';
import { treat } from '../request-treatment.js';
import { cancelPrompt } from './cancelling.js';
import { followPrompt } from './following.js';
import { untilNamelessIsOver } from './nameless.js';
import { PromptAnswer } from './prompt-answer.js';
import { free, remaining } from './service.js';

/** Interrupts, clears, deletes or unloads for everybody; or installs. ComfyUI-Manager does such things by GET as well. */
const ROOT_OPERATOR = [
  'POST /interrupt',
  'POST /queue',
  'POST /free',
  'POST /history',
  'POST /jobs/*',
  'DELETE /*',
  '* /manager/*',
  '* /v2/manager/*',
  '* /customnode/*',
  '* /v2/customnode/*',
  'POST /internal/*',
];
const OPERATOR = [...ROOT_OPERATOR, ...ROOT_OPERATOR.map((pattern) => pattern.replace(' /', ' /api/'))];

const isPrompt = ({ method, path }: RequestLine): boolean =>
  method === 'POST' && /^(\/api)?\/prompt$/.test(meantPath(path));

export const comfyui: Adapter = {
  kind: 'comfyui',
  defaults: {
    url: 'http://127.0.0.1:8188',
    // The cheapest of its routes; the port opens when everything is imported, so an answer means ready.
    health: '/prompt',
    paths: { image: '/prompt' },
    passes: ['POST /upload/*', 'POST /userdata/*', 'POST /users', 'POST /settings', 'POST /settings/*'],
    class: 'batch',
    parallel: 1,
    // Not waited for: ComfyUI is asked instead.
    drain: '5s',
  },

  treatment(request, consumer) {
    const treatment = treat(request, consumer, OPERATOR);
    // What the configuration says of a route holds for its other path too.
    return treatment === 'job'
      ? treat({ ...request, path: request.path.replace(/^\/api(?=\/)/, '') }, consumer, [])
      : treatment;
  },

  powers: { loads: 'by_job', swaps: 'consumer', unloads: true, asksForeignWork: true },
  need: () => Promise.resolve({ model: null, usesCard: true }),
  outOfMemory: outOfMemoryAnswer,

  async unload(_model, consumer, timeoutMs) {
    // Two flags for its worker, honoured after the job that runs: asked only when nothing does.
    const left = await remaining(consumer, timeoutMs);
    if (left > 0) throw new Error(`${consumer.id} has ${left} prompts in its queue; it unloads only between them`);
    await free(consumer, timeoutMs);
  },

  async ask(consumer) {
    try {
      return { loaded: null, work: await remaining(consumer) };
    } catch {
      // Late under heavy work, or gone: its silence proves nothing.
      return null;
    }
  },

  watch: (request, head) => (isPrompt(request) ? new PromptAnswer(head) : null),

  workAfterAnswer(request, head, watch, consumer, signal) {
    if (head.status !== 200 || !isPrompt(request)) return null;
    const id = watch?.workId() ?? null;
    if (id !== null) return followPrompt(id, consumer, signal);
    // Accepted, in words that could not be read: its name is among those that the queue shows now.
    return untilNamelessIsOver(consumer).then(() => ({ end: 'done' }));
  },

  namesWorkInAnswer: isPrompt,

  brokenOff: (workId, consumer) => (workId === null ? untilNamelessIsOver(consumer) : cancelPrompt(workId, consumer)),

  errorBody(error) {
    const told = { type: error.code, message: error.message, details: '', extra_info: {} };
    return { contentType: 'application/json; charset=utf-8', body: JSON.stringify({ error: told, node_errors: {} }) };
  },
};
