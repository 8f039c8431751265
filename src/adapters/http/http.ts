/**
 * Any service that speaks HTTP: everything it needs is in the configuration. It was seen to do nothing in particular,
 * so nothing is believed of it: not the marks in its answers, nor that a GET does no more than read, beyond what `load`
 * and `unload` say.
 */
import type { Adapter } from '../adapter.js';
import { outOfMemoryAnswer } from '../out-of-memory.js';
import { treat } from '../request-treatment.js';
import { untilDrained } from '../winding-down.js';

export const http: Adapter = {
  kind: 'http',
  defaults: {
    url: null,
    health: null,
    paths: {},
    passes: [],
    class: 'interactive',
    parallel: 1,
    drain: '5s',
  },

  treatment: (request, consumer) => treat(request, consumer, []),

  powers: { loads: 'by_job', swaps: 'consumer', unloads: false, asksForeignWork: false },
  need: () => Promise.resolve({ model: null, usesCard: true }),
  outOfMemory: outOfMemoryAnswer,
  watch: () => null,
  workAfterAnswer: () => null,
  brokenOff: (_workId, consumer) => untilDrained(consumer),
  errorBody: (error) => ({ contentType: 'application/json', body: JSON.stringify(error.toJSON()) }),
};
