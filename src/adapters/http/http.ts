/**
 * Any service that speaks HTTP: everything it needs is in the configuration. It was seen to do nothing in particular,
 * so nothing is believed of it.
 */
import type { Adapter } from '../adapter.js';
import { outOfMemoryAnswer } from '../out-of-memory.js';
import { isRead, matchesAny } from '../request-paths.js';
import { untilDrained } from '../winding-down.js';
import { changesResidency } from './residency-calls.js';

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

  treatment(request, consumer) {
    if (changesResidency(request, consumer)) return 'operator';
    return isRead(request.method) || matchesAny(request, consumer.passes) ? 'pass' : 'job';
  },

  powers: { loads: 'by_job', swaps: 'consumer', unloads: false, asksForeignWork: false },
  need: () => Promise.resolve({ model: null, usesCard: true }),
  outOfMemory: outOfMemoryAnswer,
  watch: () => null,
  workAfterAnswer: () => null,
  brokenOff: (_workId, consumer) => untilDrained(consumer),
  errorBody: (error) => ({ contentType: 'application/json', body: JSON.stringify(error.toJSON()) }),
};
