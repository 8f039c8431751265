/**
 * From what happened to what is drawn: a lane a consumer, a row a target, spans and points in time. Pure: the same
 * world gives the same picture.
 */
import type { Happening } from '../data/happening.js';
import { tell } from '../data/tell.js';
import type { Job } from '../data/wire.js';
import { splitTarget } from '../data/words.js';
import type { World } from '../data/world.js';

export interface Stretch {
  readonly from: number;
  readonly to: number;
}

export interface Span extends Stretch {
  /** A residency, or `down`. */
  readonly state: string;
}

export interface JobBar {
  readonly job: Job;
  readonly queuedAt: number;
  /** null: it waits, or ended without a run. */
  readonly from: number | null;
  readonly to: number;
}

export interface Point {
  readonly at: number;
  readonly kind: 'evicted' | 'out_of_memory' | 'bad_end';
  readonly text: string;
  readonly job: string | null;
}

export interface Row {
  readonly target: string;
  /** The model's name, or null where the consumer is the target. */
  readonly label: string | null;
  readonly spans: Span[];
  readonly jobs: JobBar[];
  readonly points: Point[];
}

export interface Lane {
  readonly consumer: string;
  readonly colour: number;
  readonly down: Span[];
  readonly rows: Row[];
}

/** Rows of one lane; what was seen longest ago shares the last one. */
const MOST_ROWS = 4;

export function lanesOf(world: World, stretch: Stretch): Lane[] {
  const now = world.now();
  const names = Object.keys(world.status?.consumers ?? {});
  const builders = new Map(names.map((name, index) => [name, new LaneBuilder(name, index, world.knownFrom ?? now)]));
  for (const happening of world.happenings) {
    if (happening.at > stretch.to) break;
    if (happening.event === 'daemon' && happening.change === 'started') {
      for (const builder of builders.values()) builder.interrupt(happening.at);
    }
    builders.get(consumerOf(happening) ?? '')?.take(happening);
  }
  for (const job of world.jobs.values()) builders.get(job.consumer)?.takeJob(job, now);
  return [...builders.values()].map((builder) => builder.lane(stretch, now));
}

function consumerOf(happening: Happening): string | null {
  switch (happening.event) {
    case 'job':
      return happening.job.consumer;
    case 'target':
    case 'out_of_memory':
      return splitTarget(happening.target).consumer;
    case 'consumer':
      return happening.consumer;
    default:
      return null;
  }
}

interface OpenSpan {
  readonly state: string;
  readonly from: number;
}

class LaneBuilder {
  readonly #consumer: string;
  readonly #colour: number;
  readonly #knownFrom: number;
  readonly #rows = new Map<string, Row>();
  readonly #open = new Map<string, OpenSpan>();
  readonly #down: Span[] = [];
  #downSince: number | null = null;
  #lastAt = 0;

  constructor(consumer: string, colour: number, knownFrom: number) {
    this.#consumer = consumer;
    this.#colour = colour;
    this.#knownFrom = knownFrom;
  }

  #row(target: string): Row {
    const known = this.#rows.get(target);
    if (known !== undefined) return known;
    const row = { target, label: splitTarget(target).model, spans: [], jobs: [], points: [] };
    this.#rows.set(target, row);
    return row;
  }

  take(happening: Happening): void {
    this.#lastAt = happening.at;
    if (happening.event === 'target') this.#takeMove(happening.target, happening.from, happening.to, happening);
    if (happening.event === 'job') this.takeJob(happening.job, happening.at);
    if (happening.event === 'out_of_memory') this.#point(happening.target, 'out_of_memory', happening);
    if (happening.event === 'consumer') this.#takeHealth(happening.health, happening.at);
  }

  #takeMove(target: string, from: string, to: string, happening: Happening): void {
    const row = this.#row(target);
    const open = this.#open.get(target) ?? { state: from, from: this.#knownFrom };
    row.spans.push({ ...open, to: happening.at });
    this.#open.set(target, { state: to, from: happening.at });
    if (to === 'evicting') this.#point(target, 'evicted', happening);
  }

  #point(target: string, kind: Point['kind'], happening: Happening): void {
    const told = tell(happening);
    this.#row(target).points.push({ at: happening.at, kind, text: told?.text ?? '', job: told?.job ?? null });
  }

  #takeHealth(health: string, at: number): void {
    if (health === 'down') this.#downSince ??= at;
    else if (this.#downSince !== null) {
      this.#down.push({ state: 'down', from: this.#downSince, to: at });
      this.#downSince = null;
    }
  }

  takeJob(job: Job, at: number): void {
    const target = job.model === null ? this.#consumer : `${this.#consumer}/${job.model}`;
    const row = this.#row(target);
    row.jobs.push({ job, queuedAt: Date.parse(job.queued_at), from: startOf(job), to: at });
    if (job.state !== 'ended' || job.end === 'done' || job.end === 'cancelled') return;
    row.points.push({
      at,
      kind: 'bad_end',
      text: tell({ event: 'job', change: 'ended', at, job })?.text ?? '',
      job: job.id,
    });
  }

  /** The daemon was not there: what it last knew ends where its word ended. */
  interrupt(at: number): void {
    for (const [target, open] of this.#open) this.#row(target).spans.push({ ...open, to: Math.min(at, this.#lastAt) });
    this.#open.clear();
    this.#takeHealth('unknown', at);
  }

  lane(stretch: Stretch, now: number): Lane {
    for (const [target, open] of this.#open) this.#row(target).spans.push({ ...open, to: now });
    if (this.#downSince !== null) this.#down.push({ state: 'down', from: this.#downSince, to: now });
    const rows = [...this.#rows.values()].map((row) => within(row, stretch)).filter(isWorthARow);
    // Where models are the targets, the consumer itself needs no row of its own.
    const shown = rows.filter(({ label }) => label !== null);
    const kept = (shown.length > 0 && shown.length === rows.length ? shown : rows).sort(byLabel);
    return {
      consumer: this.#consumer,
      colour: this.#colour,
      down: this.#down.filter((span) => overlaps(span, stretch)),
      rows: kept.length === 0 ? [this.#row(this.#consumer)].map((row) => within(row, stretch)) : merged(kept),
    };
  }
}

function startOf(job: Job): number | null {
  if (job.granted_at !== null) return Date.parse(job.granted_at);
  if (job.state !== 'running' || job.waited_ms === null) return null;
  return Date.parse(job.queued_at) + job.waited_ms;
}

const overlaps = (span: Stretch, stretch: Stretch): boolean => span.to >= stretch.from && span.from <= stretch.to;

function within(row: Row, stretch: Stretch): Row {
  return {
    ...row,
    spans: row.spans.filter((span) => overlaps(span, stretch)),
    jobs: row.jobs.filter(({ queuedAt, to }) => overlaps({ from: queuedAt, to }, stretch)),
    points: row.points.filter(({ at }) => at >= stretch.from && at <= stretch.to),
  };
}

const DRAWN = new Set(['loading', 'resident', 'evicting', 'stuck', 'parked']);

function isWorthARow({ spans, jobs, points }: Row): boolean {
  return jobs.length > 0 || points.length > 0 || spans.some(({ state }) => DRAWN.has(state));
}

const byLabel = (a: Row, b: Row): number => (a.label ?? '').localeCompare(b.label ?? '');

function merged(rows: readonly Row[]): Row[] {
  if (rows.length <= MOST_ROWS) return [...rows];
  const rest = rows.slice(MOST_ROWS - 1);
  const last = {
    target: rest[0]?.target ?? '',
    label: `${rest.length} more`,
    spans: rest.flatMap(({ spans }) => spans),
    jobs: rest.flatMap(({ jobs }) => jobs),
    points: rest.flatMap(({ points }) => points),
  };
  return [...rows.slice(0, MOST_ROWS - 1), last];
}
