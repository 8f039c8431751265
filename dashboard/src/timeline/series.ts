/** The two curves of the timeline: VRAM used by card, and how many jobs wait. Pure. */
import type { World } from '../data/world.js';
import type { Stretch } from './lanes.js';

export interface CardSeries {
  readonly index: number;
  readonly totalMib: number;
  readonly points: readonly { readonly at: number; readonly usedMib: number | null }[];
}

export interface QueueSeries {
  readonly most: number;
  /** The length from `at` on. */
  readonly steps: readonly { readonly at: number; readonly length: number }[];
}

/** A line is not drawn over a gap in the readings. */
export const GAP_MS = 30_000;

export function cardSeriesOf(world: World, stretch: Stretch): CardSeries[] {
  const cards = new Map<number, { totalMib: number; points: { at: number; usedMib: number | null }[] }>();
  for (const each of world.happenings) {
    // One reading before the edge, so that the line enters from outside.
    if (each.event !== 'gpu' || each.at < stretch.from - GAP_MS) continue;
    if (each.at > stretch.to + GAP_MS) break;
    for (const card of each.cards) {
      const known = cards.get(card.index) ?? { totalMib: 0, points: [] };
      known.totalMib = card.total_mib ?? known.totalMib;
      known.points.push({ at: each.at, usedMib: card.used_mib });
      cards.set(card.index, known);
    }
  }
  return [...cards.entries()].map(([index, { totalMib, points }]) => ({ index, totalMib, points }));
}

export function queueSeriesOf(world: World, stretch: Stretch): QueueSeries {
  const changes: { at: number; by: number }[] = [];
  const add = (from: number, to: number | null) => {
    if (to !== null && to <= from) return;
    changes.push({ at: from, by: 1 });
    if (to !== null) changes.push({ at: to, by: -1 });
  };
  for (const each of world.happenings) {
    if (each.event !== 'job') continue;
    const { queued_at: queued, granted_at: granted } = each.job;
    add(Date.parse(queued), granted === null ? each.at : Date.parse(granted));
  }
  for (const job of world.jobs.values()) {
    const queuedAt = Date.parse(job.queued_at);
    add(queuedAt, job.state === 'waiting' ? null : queuedAt + (job.waited_ms ?? 0));
  }
  changes.sort((a, b) => a.at - b.at);
  const steps: { at: number; length: number }[] = [];
  let length = 0;
  let most = 0;
  for (const { at, by } of changes) {
    length += by;
    if (at <= stretch.to) steps.push({ at, length });
    if (at >= stretch.from && at <= stretch.to) most = Math.max(most, length);
  }
  const before = steps.findLast(({ at }) => at < stretch.from);
  return { most: Math.max(most, before?.length ?? 0), steps };
}
