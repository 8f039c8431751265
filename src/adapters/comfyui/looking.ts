/** Looks at ComfyUI again and again until something is so: quickly at first, then at a calmer pace. Keeps nothing. */
import { setTimeout as pause } from 'node:timers/promises';
import { ServiceGone } from '../asking.js';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;

/** `silent`: for the whole of `silentMs` it gave no answer that could be read; a late one now and then is no sign. */
export type LookEnd<T> = { readonly seen: T } | 'gone' | 'silent' | 'given_up';

export interface LookLimits {
  readonly silentMs: number;
  /** For all looks together; absent: none. */
  readonly longestMs?: number;
  readonly signal?: AbortSignal;
}

/** `look` gives null while there is nothing to tell. Never rejects. */
export async function lookUntil<T>(look: () => Promise<T | null>, limits: LookLimits): Promise<LookEnd<T>> {
  const { silentMs, longestMs = Number.POSITIVE_INFINITY, signal } = limits;
  const startedAt = performance.now();
  let silentSince: number | null = null;
  for (let pauseMs = FIRST_PAUSE_MS; signal?.aborted !== true; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.5)) {
    const askedAt = performance.now();
    try {
      const seen = await look();
      if (seen !== null) return { seen };
      silentSince = null;
    } catch (error) {
      if (error instanceof ServiceGone) return 'gone';
      silentSince ??= askedAt;
      if (performance.now() - silentSince >= silentMs) return 'silent';
    }
    // An abort ends the pause early; the loop sees it.
    if (performance.now() - startedAt >= longestMs) return 'given_up';
    await pause(pauseMs, undefined, signal === undefined ? {} : { signal }).catch(() => {});
  }
  return 'given_up';
}
