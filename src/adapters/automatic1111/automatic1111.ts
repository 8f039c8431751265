/**
 * AUTOMATIC1111's web UI with `--api`, and Forge, which keeps its routes. Read at 1.10.1: a picture's answer is its end;
 * one job at a time behind a lock; closing a connection cancels nothing; an unload does not wait for the job that runs,
 * and what was unloaded works on the CPU until it is told to come back.
 */
import type { Adapter } from '../adapter.js';
import { outOfMemoryAnswer } from '../out-of-memory.js';
import { treat } from '../request-treatment.js';
import { untilItRests } from './resting.js';
import { isBusy, listModels, reload, unload } from './service.js';

/** Acts on everybody's work, or changes what is set for everybody. */
const OPERATOR = [
  'POST /sdapi/v1/options',
  'POST /sdapi/v1/interrupt',
  'POST /sdapi/v1/skip',
  'POST /sdapi/v1/unload-checkpoint',
  'POST /sdapi/v1/reload-checkpoint',
  'POST /sdapi/v1/refresh-*',
  'POST /sdapi/v1/server-*',
  'POST /sdapi/v1/create/*',
  'POST /sdapi/v1/train/*',
  'DELETE /*',
];

export const automatic1111: Adapter = {
  kind: 'automatic1111',
  defaults: {
    url: 'http://127.0.0.1:7860',
    // Answers while it works, with the page and without it.
    health: '/sdapi/v1/progress?skip_current_image=true',
    paths: { image: '/sdapi/v1/txt2img' },
    passes: ['POST /internal/progress', 'POST /sdapi/v1/png-info'],
    class: 'batch',
    parallel: 1,
    // Not waited for: it is asked instead.
    drain: '5s',
  },

  treatment: (request, consumer) => treat(request, consumer, OPERATOR),

  powers: { loads: 'by_call', swaps: 'consumer', unloads: true, asksForeignWork: true },
  need: () => Promise.resolve({ model: null, usesCard: true }),
  outOfMemory: outOfMemoryAnswer,

  load: (_model, consumer, timeoutMs) => reload(consumer, timeoutMs),

  async unload(_model, consumer, timeoutMs) {
    // It would pull the weights away from under a running job.
    if (await isBusy(consumer, timeoutMs)) throw new Error(`${consumer.id} is at work; it is not unloaded under a job`);
    await unload(consumer, timeoutMs);
  },

  async ask(consumer) {
    try {
      return { loaded: null, work: (await isBusy(consumer)) ? 1 : 0 };
    } catch {
      // Its waiting jobs hold the threads that would answer: its silence proves nothing.
      return null;
    }
  },

  listModels,
  watch: () => null,
  workAfterAnswer: () => null,
  brokenOff: (_workId, consumer) => untilItRests(consumer),

  errorBody({ code, message }) {
    const told = { error: code, detail: message, body: '', errors: message };
    return { contentType: 'application/json; charset=utf-8', body: JSON.stringify(told) };
  },
};
