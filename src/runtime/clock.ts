/** The one source of time: monotonic for decisions, wall time for people. */
import { performance } from 'node:perf_hooks';
import type { Clock } from './ports.js';

export const systemClock: Clock = {
  now: () => performance.now(),
  wallOf: (at) => Date.now() - (performance.now() - at),
};
