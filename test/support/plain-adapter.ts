/** An adapter of no kind in particular: everything it is asked is kept, everything it says can be replaced. */
import type { Adapter, RequestLine, WorkVerdict } from '../../src/adapters/adapter.js';
import type { KindName } from '../../src/config/configuration.js';
import { KIND_DEFAULTS } from './kind-defaults.js';

export interface PlainAdapter extends Adapter {
  /** The work ids of all jobs that were broken off. */
  readonly broken: (string | null)[];
}

export function plainAdapter(changes: Partial<Adapter> = {}, kind: KindName = 'http'): PlainAdapter {
  const broken: (string | null)[] = [];
  return {
    kind,
    defaults: KIND_DEFAULTS[kind],
    treatment: ({ method, path }: RequestLine) => {
      if (path.startsWith('/admin')) return 'operator';
      return ['GET', 'HEAD', 'OPTIONS'].includes(method) || path.startsWith('/files') ? 'pass' : 'job';
    },
    powers: { loads: 'by_job', swaps: 'consumer', unloads: false, asksForeignWork: false },
    need: async () => ({ model: null, usesCard: true }),
    outOfMemory: (head, body) => (head.status >= 500 && body.includes('out of memory') ? body : null),
    watch: () => null,
    workAfterAnswer: () => null,
    errorBody: (error) => ({ contentType: 'application/json', body: JSON.stringify({ error: error.message }) }),
    ...changes,
    broken,
    async brokenOff(workId, consumer) {
      broken.push(workId);
      await changes.brokenOff?.(workId, consumer);
    },
  };
}

/** An adapter of a service whose answer names work that goes on. */
export function namingAdapter() {
  const verdicts: ((verdict: WorkVerdict) => void)[] = [];
  let aborted = 0;
  const adapter = plainAdapter({
    watch: () => {
      let text = '';
      return {
        piece: (chunk) => {
          text += chunk;
        },
        complaint: () => null,
        workId: () => /id:(\w+)/.exec(text)?.[1] ?? null,
      };
    },
    workAfterAnswer: (_request, _head, _watch, _consumer, signal) => {
      signal.addEventListener('abort', () => {
        aborted += 1;
      });
      return new Promise((resolve) => verdicts.push(resolve));
    },
    namesWorkInAnswer: () => true,
  });
  return { adapter, verdicts, aborted: () => aborted };
}
