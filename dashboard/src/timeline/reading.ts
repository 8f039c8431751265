/** What every lane shows at one instant, in words, and what lies under the pointer. Pure. */
import { tell } from '../data/tell.js';
import { gib, span } from '../data/words.js';
import type { JobBar, Lane, Point, Row } from './lanes.js';
import { type Layout, xOf } from './layout.js';
import type { CardSeries, QueueSeries } from './series.js';

export interface ReadingLine {
  readonly name: string;
  /** null: no consumer's. */
  readonly colour: number | null;
  readonly text: string;
}

export function readingAt(
  at: number,
  lanes: readonly Lane[],
  cards: readonly CardSeries[],
  queue: QueueSeries,
  now: number,
): ReadingLine[] {
  const memory = cards.map(({ index, points, totalMib }) => {
    const used = points.findLast((point) => point.at <= at)?.usedMib ?? null;
    const name = cards.length === 1 ? 'VRAM used' : `Card ${index}`;
    return { name, colour: null, text: `${gib(used)} of ${gib(totalMib)}` };
  });
  const length = queue.steps.findLast((step) => step.at <= at)?.length ?? 0;
  return [
    ...memory,
    ...lanes.map((lane) => ({ name: lane.consumer, colour: lane.colour, text: laneText(lane, at, now) })),
    { name: 'Waiting', colour: null, text: String(length) },
  ];
}

function laneText(lane: Lane, at: number, now: number): string {
  if (lane.down.some(({ from, to }) => from <= at && at <= to)) return 'down';
  const texts = lane.rows.flatMap((row) => rowTexts(row, at, now));
  return texts.length === 0 ? '—' : texts.join('; ');
}

function rowTexts(row: Row, at: number, now: number): string[] {
  const label = row.label === null ? '' : `${row.label} `;
  const state = row.spans.find(({ from, to }) => from <= at && at < to)?.state;
  const jobs = row.jobs.filter(({ queuedAt, job, to }) => queuedAt <= at && at <= (job.state === 'ended' ? to : now));
  const running = jobs.filter(({ from }) => from !== null && from <= at);
  const words = [
    ...(state === undefined || state === 'absent' || state === 'unknown' ? [] : [state]),
    ...running.slice(0, 2).map(jobText),
    ...(jobs.length > running.length ? [`${jobs.length - running.length} waiting`] : []),
  ];
  return words.length === 0 ? [] : [`${label}${words.join(', ')}`];
}

function jobText({ job, from, to }: JobBar): string {
  const length = job.state === 'ended' && from !== null ? ` ${span(to - from)}` : '';
  return `${job.capability ?? 'job'}${length}`;
}

export type Hit = { readonly kind: 'job'; readonly id: string } | { readonly kind: 'point'; readonly point: Point };

/** Points first, for they lie on top. */
export function hitAt(layout: Layout, x: number, y: number, now: number): Hit | null {
  const laid = layout.lanes.flatMap(({ rows }) => rows).find(({ top, height }) => y >= top && y <= top + height);
  if (laid === undefined) return null;
  const point = laid.row.points.find(({ at }) => Math.abs(xOf(layout, at) - x) <= 8);
  if (point !== undefined) return { kind: 'point', point };
  const bar = laid.row.jobs.findLast(({ from, to, job }) => {
    const end = job.state === 'ended' ? to : now;
    return from !== null && x >= xOf(layout, from) - 3 && x <= xOf(layout, end) + 3;
  });
  return bar === undefined ? null : { kind: 'job', id: bar.job.id };
}

/** The job that a point or a cursor means, with what is to be said of it. */
export function hitText(hit: Hit, lanes: readonly Lane[]): string {
  if (hit.kind === 'point') return hit.point.text;
  const bar = lanes.flatMap(({ rows }) => rows.flatMap(({ jobs }) => jobs)).findLast(({ job }) => job.id === hit.id);
  if (bar === undefined) return hit.id;
  return tell({ event: 'job', change: 'ended', at: bar.to, job: bar.job })?.text ?? hit.id;
}
