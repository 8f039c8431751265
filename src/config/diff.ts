/** What a reload changes: for the log, and for what only a restart can change. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { ConsumerId } from '../core/vocabulary.js';
import type { Configuration } from './configuration.js';

export interface ConfigurationDifference {
  /** Anything that matters; the name of the file does not. */
  readonly changed: boolean;
  readonly consumersAdded: readonly ConsumerId[];
  readonly consumersRemoved: readonly ConsumerId[];
  /** In both, with different keys. */
  readonly consumersChanged: readonly ConsumerId[];
  /** Keys whose new value holds only after a restart. */
  readonly needsRestart: readonly ('bind' | 'state_dir')[];
}

export function diffConfiguration(before: Configuration, after: Configuration): ConfigurationDifference {
  const kept = [...before.consumers.keys()].filter((id) => after.consumers.has(id));
  return {
    changed: !isDeepStrictEqual({ ...before, file: null }, { ...after, file: null }),
    consumersAdded: [...after.consumers.keys()].filter((id) => !before.consumers.has(id)),
    consumersRemoved: [...before.consumers.keys()].filter((id) => !after.consumers.has(id)),
    consumersChanged: kept.filter((id) => !isDeepStrictEqual(before.consumers.get(id), after.consumers.get(id))),
    needsRestart: [
      ...(isDeepStrictEqual(before.bind, after.bind) ? [] : (['bind'] as const)),
      ...(before.stateDir === after.stateDir ? [] : (['state_dir'] as const)),
    ],
  };
}
