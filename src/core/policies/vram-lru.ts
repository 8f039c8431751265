/**
 * Who has to leave. The lock, then room: the least recently used targets leave first, those of unknown state before all, spared
 * neighbours only where nothing else would do. Nobody leaves who is not in the way.
 */
import { headroomMib, yieldMib } from '../ledger.js';
import type { BrokerState, TargetState } from '../state.js';

/** Least recently used first; unknown ones before all; ties by name. */
export function byLeastUse(a: TargetState, b: TargetState): number {
  const unknownFirst = Number(b.residency === 'unknown') - Number(a.residency === 'unknown');
  if (unknownFirst !== 0) return unknownFirst;
  const used = (a.lastUsedAt ?? -1) - (b.lastUsedAt ?? -1);
  return used !== 0 ? used : a.name < b.name ? -1 : 1;
}

/** MiB needed, by card. */
export type Need = ReadonlyMap<number, number>;

export function missingMib(state: BrokerState, need: Need, asker: TargetState): Map<number, number> {
  const missing = new Map<number, number>();
  for (const [card, mib] of need) {
    const headroom = headroomMib(state, card, asker);
    if (headroom !== null && headroom < mib) missing.set(card, mib - headroom);
  }
  return missing;
}

/**
 * The victims among the candidates (in the order they are asked to leave), or null where even all of them would not
 * give enough by what is known. Whoever turns out not to be needed is dropped again, the least recently used first.
 */
export function chooseVictims(
  state: BrokerState,
  missing: ReadonlyMap<number, number>,
  candidates: readonly TargetState[],
): TargetState[] | null {
  const covers = (chosen: readonly TargetState[]): boolean =>
    [...missing].every(([card, mib]) => chosen.reduce((sum, one) => sum + yieldMib(state, one.name, card), 0) >= mib);
  const chosen: TargetState[] = [];
  for (const candidate of candidates) {
    if (covers(chosen)) break;
    chosen.push(candidate);
  }
  if (!covers(chosen)) return null;
  for (const candidate of [...chosen]) {
    const without = chosen.filter((one) => one !== candidate);
    if (covers(without)) chosen.splice(chosen.indexOf(candidate), 1);
  }
  return chosen;
}
