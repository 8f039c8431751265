/**
 * ComfyUI. Read at 0.3.64 and 0.26: `POST /prompt` answers before any work; its queue works one prompt at a time;
 * closing a connection cancels nothing; every route exists below `/api` as well.
 */
import type { Adapter, RequestLine } from '../adapter.js';
import { outOfMemoryAnswer } from '../out-of-memory.js';
import { isRead, matchesAny, meantPath } from '../request-paths.js';
import { PromptAnswer } from './prompt-answer.js';
import { cancelPrompt, followPrompt, untilQueueIsEmpty } from './prompt-work.js';
import { free, remaining } from './service.js';

/** Interrupts, clears or unloads for everybody; or installs. ComfyUI-Manager does such things by GET as well. */
const OPERATOR = [
  'POST /interrupt',
  'POST /queue',
  'POST /free',
  'POST /history',
  'POST /jobs/*',
  'DELETE /userdata/*',
  '* /manager/*',
  '* /v2/manager/*',
  '* /customnode/*',
  '* /v2/customnode/*',
  'POST /internal/*',
];

const withoutApi = (path: string): string => meantPath(path).replace(/^\/api(?=\/)/, '');
const atRoot = (request: RequestLine): RequestLine => ({ ...request, path: withoutApi(request.path) });
const isPrompt = ({ method, path }: RequestLine): boolean => method === 'POST' && withoutApi(path) === '/prompt';

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
    // It is asked instead; here for a prompt that nobody can name.
    drain: '5s',
  },

  treatment(request, consumer) {
    const meant = atRoot(request);
    if (matchesAny(meant, OPERATOR)) return 'operator';
    const passes = matchesAny(meant, consumer.passes) || matchesAny(request, consumer.passes);
    return isRead(request.method) || passes ? 'pass' : 'job';
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
      return { loaded: null, foreignWork: await remaining(consumer) };
    } catch {
      // Late under heavy work, or gone: its silence proves nothing.
      return null;
    }
  },

  watch: (request, head) => (isPrompt(request) ? new PromptAnswer(head) : null),

  workAfterAnswer(_request, _head, watch, consumer, signal) {
    const id = watch?.workId() ?? null;
    return id === null ? null : followPrompt(id, consumer, signal);
  },

  namesWorkInAnswer: isPrompt,

  brokenOff: (workId, consumer) => (workId === null ? untilQueueIsEmpty(consumer) : cancelPrompt(workId, consumer)),

  errorBody(error) {
    const told = { type: error.code, message: error.message, details: '', extra_info: {} };
    return { contentType: 'application/json; charset=utf-8', body: JSON.stringify({ error: told, node_errors: {} }) };
  },
};
