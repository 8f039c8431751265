/** Paints one consumer's lane: residency behind, jobs before it, points on top. Owns nothing. */
import { span as duration } from '../data/words.js';
import { clip, line } from './draw.js';
import type { JobBar, Point, Span } from './lanes.js';
import { type LaidLane, type Layout, xOf } from './layout.js';
import { COLOURS, type Theme } from './theme.js';

export function drawLane(
  context: CanvasRenderingContext2D,
  layout: Layout,
  laid: LaidLane,
  now: number,
  theme: Theme,
): void {
  const colour = theme.consumers[laid.lane.colour % COLOURS] ?? theme.text;
  drawNames(context, layout, laid, colour, theme);
  clip(context, layout, () => {
    for (const { row, top, height } of laid.rows) {
      context.strokeStyle = theme.line;
      line(context, [
        [layout.left, top + height + 0.5],
        [layout.right, top + height + 0.5],
      ]);
      for (const span of row.spans) drawResidency(context, layout, span, top, height, colour, theme);
      drawWaits(context, layout, row.jobs, top, height, colour, now);
      for (const bar of row.jobs) drawJob(context, layout, bar, top, height, colour, now, theme);
      for (const point of row.points) drawPoint(context, layout, point, top, height, theme);
    }
    for (const span of laid.lane.down) drawDown(context, layout, span, laid, theme);
  });
}

function drawNames(
  context: CanvasRenderingContext2D,
  layout: Layout,
  { lane, rows, top, nameHeight }: LaidLane,
  colour: string,
  theme: Theme,
): void {
  context.textAlign = 'left';
  const narrow = layout.left === 0;
  const middle = nameHeight > 0 ? top + nameHeight / 2 : top + (rows[0]?.height ?? 0) / 2;
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(0, middle - 5, 10, 10, 2);
  context.fill();
  context.fillStyle = theme.text;
  context.fillText(lane.consumer, 16, middle, narrow ? layout.width / 2 : layout.left - 24);
  const named = rows.filter(({ row }) => row.label !== null);
  context.fillStyle = theme.muted;
  if (!narrow) {
    for (const { row, top: rowTop, height } of named) {
      context.fillText(row.label ?? '', 16, rowTop + height / 2, layout.left - 26);
    }
    return;
  }
  // Without a gutter the rows' names stand beside the consumer's, in their order.
  const x = 16 + Math.min(layout.width / 2, context.measureText(`${lane.consumer}   `).width);
  context.fillText(named.map(({ row }) => row.label).join(' / '), x, middle, layout.width - x);
}

/** Ramps while it comes and goes, a pale block while it is there. */
function drawResidency(
  context: CanvasRenderingContext2D,
  layout: Layout,
  { from, to, state }: Span,
  top: number,
  height: number,
  colour: string,
  theme: Theme,
): void {
  const x = Math.max(layout.left - 2, xOf(layout, from));
  const end = Math.max(x + 1, Math.min(layout.right + 2, xOf(layout, to)));
  const bottom = top + height;
  context.fillStyle = colour;
  context.globalAlpha = 0.24;
  context.beginPath();
  if (state === 'loading')
    polygon(context, [
      [x, bottom],
      [end, top],
      [end, bottom],
    ]);
  else if (state === 'evicting')
    polygon(context, [
      [x, top],
      [end, bottom],
      [x, bottom],
    ]);
  else if (state === 'resident' || state === 'stuck') context.rect(x, top, end - x, height);
  else if (state === 'parked') context.rect(x, bottom - 4, end - x, 4);
  context.fill();
  context.globalAlpha = 1;
  if (state === 'stuck') hatch(context, x, top, end - x, height, theme.bad);
}

function polygon(context: CanvasRenderingContext2D, path: readonly (readonly [number, number])[]): void {
  for (const [index, [x, y]] of path.entries()) {
    if (index === 0) context.moveTo(x, y);
    else context.lineTo(x, y);
  }
  context.closePath();
}

/** A thin line while it waits; painted in one go, so that many that wait at once are no darker than one. */
function drawWaits(
  context: CanvasRenderingContext2D,
  layout: Layout,
  bars: readonly JobBar[],
  top: number,
  height: number,
  colour: string,
  now: number,
): void {
  const middle = Math.round(top + height / 2);
  context.fillStyle = colour;
  context.globalAlpha = 0.55;
  context.beginPath();
  for (const bar of bars) {
    const queued = xOf(layout, bar.queuedAt);
    const length = xOf(layout, bar.from ?? endOf(bar, now)) - queued;
    if (length > 1.5) context.rect(queued, middle - 0.5, length, 1.5);
  }
  context.fill();
  context.globalAlpha = 1;
}

const endOf = ({ job, to }: JobBar, now: number): number => (job.state === 'ended' ? to : now);

/** A strong block while it runs. */
function drawJob(
  context: CanvasRenderingContext2D,
  layout: Layout,
  bar: JobBar,
  top: number,
  height: number,
  colour: string,
  now: number,
  theme: Theme,
): void {
  if (bar.from === null) return;
  const to = endOf(bar, now);
  const middle = Math.round(top + height / 2);
  const start = xOf(layout, bar.from);
  context.fillStyle = colour;
  const width = Math.max(2, xOf(layout, to) - start);
  context.beginPath();
  context.roundRect(start, top + 4, width, height - 8, Math.min(3, width / 2));
  context.fill();
  // Blocks that touch stay apart for the eye.
  if (width > 4) {
    context.strokeStyle = theme.surface;
    context.lineWidth = 1;
    context.stroke();
  }
  label(context, layout, bar, start, width, middle, to, theme);
}

function label(
  context: CanvasRenderingContext2D,
  layout: Layout,
  { job, from }: JobBar,
  x: number,
  width: number,
  middle: number,
  to: number,
  theme: Theme,
): void {
  const seenFrom = Math.max(x, layout.left);
  const room = Math.min(x + width, layout.right) - seenFrom - 8;
  if (room < 20) return;
  const length = duration(to - (from ?? to));
  const texts = [`${job.capability ?? 'job'} ${length}`, length, job.capability ?? ''];
  const fitting = texts.find((text) => context.measureText(text).width <= room);
  if (fitting === undefined) return;
  context.fillStyle = theme.onColour;
  context.textAlign = 'left';
  context.fillText(fitting, seenFrom + 5, middle + 0.5);
}

function drawPoint(
  context: CanvasRenderingContext2D,
  layout: Layout,
  { at, kind }: Point,
  top: number,
  height: number,
  theme: Theme,
): void {
  const x = xOf(layout, at);
  const bad = kind !== 'evicted';
  context.fillStyle = bad ? theme.bad : theme.text;
  context.strokeStyle = theme.surface;
  context.lineWidth = 1.5;
  context.beginPath();
  // A triangle that points down: it left. A diamond: something went wrong.
  if (bad)
    polygon(context, [
      [x, top + 1],
      [x + 6, top + 7],
      [x, top + 13],
      [x - 6, top + 7],
    ]);
  else
    polygon(context, [
      [x - 5, top + height - 8],
      [x + 5, top + height - 8],
      [x, top + height],
    ]);
  context.stroke();
  context.fill();
}

function drawDown(
  context: CanvasRenderingContext2D,
  layout: Layout,
  { from, to }: Span,
  { rows, top, height }: LaidLane,
  theme: Theme,
): void {
  const first = rows[0]?.top ?? top;
  const x = Math.max(layout.left, xOf(layout, from));
  const width = Math.min(layout.right, xOf(layout, to)) - x;
  hatch(context, x, first, width, top + height - first - 2, theme.bad);
  if (width < 40) return;
  context.font = `600 12px ${theme.font}`;
  const wide = context.measureText('down').width + 10;
  context.fillStyle = theme.surface;
  context.fillRect(x + 4, first + 4, wide, 16);
  context.fillStyle = theme.bad;
  context.textAlign = 'left';
  context.fillText('down', x + 9, first + 12.5);
  context.font = `12px ${theme.font}`;
}

function hatch(
  context: CanvasRenderingContext2D,
  x: number,
  top: number,
  width: number,
  height: number,
  colour: string,
): void {
  if (width <= 0) return;
  context.save();
  context.beginPath();
  context.rect(x, top, width, height);
  context.clip();
  context.strokeStyle = colour;
  context.globalAlpha = 0.7;
  context.lineWidth = 1.5;
  context.beginPath();
  for (let at = x - height; at < x + width; at += 7) {
    context.moveTo(at, top + height);
    context.lineTo(at + height, top);
  }
  context.stroke();
  context.restore();
}
