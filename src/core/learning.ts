/**
 * What is learned of sizes and times. A size is raised at once to the highest seen, because too little is an out of
 * memory; it is lowered only by many smaller observations, and never below the highest of the last five.
 */
import type { LearnedMib } from './memory.js';

/** A run that was looked at less often may have peaked unseen: it raises what is known, it never lowers it. */
export const LOOKS_ENOUGH = 5;
const KEPT = 5;
const LOWERED_PER_OBSERVATION = 0.1;
const WEIGHT_OF_NEWEST_TIME = 0.2;

export function observedMib(known: LearnedMib | null, seenMib: number): LearnedMib {
  if (known === null) return { mib: seenMib, recent: [seenMib], below: 0 };
  const recent = [...known.recent, seenMib].slice(-KEPT);
  if (seenMib >= known.mib) return { mib: seenMib, recent, below: 0 };
  const below = known.below + 1;
  if (below < KEPT) return { mib: known.mib, recent, below };
  const lowered = known.mib - LOWERED_PER_OBSERVATION * (known.mib - seenMib);
  return { mib: Math.max(lowered, ...recent), recent, below };
}

/** After an out of memory: the size was wrong, whatever was seen before. */
export function raisedMib(known: LearnedMib | null, mib: number): LearnedMib {
  return { mib: Math.max(mib, known?.mib ?? 0), recent: [mib], below: 0 };
}

export function observedMs(knownMs: number | null, seenMs: number): number {
  return knownMs === null ? seenMs : knownMs + WEIGHT_OF_NEWEST_TIME * (seenMs - knownMs);
}
