/** Paints the timeline's curves, axis and lanes' names. Owns nothing; `draw-lane.ts` paints what is in a lane. */
import { count, gib, timeOfDay, timeWithSeconds } from '../data/words.js';
import { drawLane } from './draw-lane.js';
import { type Layout, ticks, xOf } from './layout.js';
import { type CardSeries, GAP_MS, type QueueSeries } from './series.js';
import type { Theme } from './theme.js';

export interface Picture {
  readonly layout: Layout;
  readonly cards: readonly CardSeries[];
  readonly queue: QueueSeries;
  readonly now: number;
  /** From here on the past is known. */
  readonly knownFrom: number | null;
  /** The instant that is looked at; null: none. */
  readonly cursor: number | null;
}

export function draw(context: CanvasRenderingContext2D, picture: Picture, theme: Theme): void {
  const { layout } = picture;
  context.clearRect(0, 0, layout.width, layout.height);
  context.font = `12px ${theme.font}`;
  context.textBaseline = 'middle';
  drawAxis(context, picture, theme);
  drawMemory(context, picture, theme);
  for (const laid of layout.lanes) drawLane(context, layout, laid, picture.now, theme);
  drawQueue(context, picture, theme);
  drawUnknownPast(context, picture, theme);
  drawCursor(context, picture, theme);
}

function drawAxis(context: CanvasRenderingContext2D, { layout }: Picture, theme: Theme): void {
  const times = ticks(layout);
  const fine = (times[1] ?? 0) - (times[0] ?? 0) < 60_000;
  context.textAlign = 'center';
  for (const at of times) {
    const x = Math.round(xOf(layout, at)) + 0.5;
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, layout.memory.top);
    context.lineTo(x, layout.axisTop + 2);
    context.stroke();
    if (x < layout.left + 24 || x > layout.right - 24) continue;
    context.fillStyle = theme.muted;
    context.fillText(fine ? timeWithSeconds(at) : timeOfDay(at), x, layout.axisTop + 12);
  }
}

function drawMemory(context: CanvasRenderingContext2D, { layout, cards }: Picture, theme: Theme): void {
  const { top, height } = layout.memory;
  const most = Math.max(1, ...cards.map(({ totalMib }) => totalMib));
  const yOf = (mib: number): number => top + height - (mib / most) * (height - 2);
  name(context, layout, top, height, 'VRAM used', cards.length === 0 ? 'no reading' : `of ${gib(most)}`, theme);
  clip(context, layout, () => {
    context.strokeStyle = theme.muted;
    context.setLineDash([3, 3]);
    for (const { totalMib } of cards) {
      line(context, [
        [layout.left, yOf(totalMib)],
        [layout.right, yOf(totalMib)],
      ]);
    }
    context.setLineDash([]);
    for (const [index, series] of cards.entries()) drawCard(context, layout, series, yOf, index, theme);
  });
}

function drawCard(
  context: CanvasRenderingContext2D,
  layout: Layout,
  { points }: CardSeries,
  yOf: (mib: number) => number,
  index: number,
  theme: Theme,
): void {
  context.strokeStyle = theme.memory;
  context.fillStyle = theme.memory;
  context.lineWidth = 1.5;
  // Several cards are told apart by their dashes, and by what is read at the cursor.
  context.setLineDash(index === 0 ? [] : [6, 3]);
  for (const piece of pieces(points)) {
    const path = piece.map(({ at, usedMib }): [number, number] => [xOf(layout, at), yOf(usedMib)]);
    const [first, last] = [path[0], path.at(-1)];
    if (first === undefined || last === undefined) continue;
    context.globalAlpha = 0.16;
    context.beginPath();
    context.moveTo(first[0], yOf(0));
    for (const [x, y] of path) context.lineTo(x, y);
    context.lineTo(last[0], yOf(0));
    context.fill();
    context.globalAlpha = 1;
    line(context, path);
  }
  context.setLineDash([]);
}

/** Unknown readings and gaps interrupt the line. */
function pieces(points: CardSeries['points']): { at: number; usedMib: number }[][] {
  const found: { at: number; usedMib: number }[][] = [];
  let current: { at: number; usedMib: number }[] = [];
  for (const { at, usedMib } of points) {
    const last = current.at(-1);
    if (usedMib === null || (last !== undefined && at - last.at > GAP_MS)) {
      found.push(current);
      current = [];
    }
    if (usedMib !== null) current.push({ at, usedMib });
  }
  return [...found, current];
}

function drawQueue(context: CanvasRenderingContext2D, { layout, queue, now }: Picture, theme: Theme): void {
  const { top, height } = layout.queue;
  name(
    context,
    layout,
    top,
    height,
    'Waiting',
    queue.most === 0 ? 'nobody' : `up to ${count(queue.most, 'job')}`,
    theme,
  );
  const most = Math.max(3, queue.most);
  const yOf = (length: number): number => top + height - (length / most) * (height - 2);
  clip(context, layout, () => {
    context.fillStyle = theme.text;
    context.globalAlpha = 0.4;
    context.beginPath();
    context.moveTo(layout.left, yOf(0));
    let y = yOf(0);
    for (const { at, length } of queue.steps) {
      const x = Math.max(layout.left, xOf(layout, at));
      context.lineTo(x, y);
      y = yOf(length);
      context.lineTo(x, y);
    }
    const end = Math.min(layout.right, xOf(layout, now));
    context.lineTo(end, y);
    context.lineTo(end, yOf(0));
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = theme.line;
    line(context, [
      [layout.left, yOf(0) + 0.5],
      [layout.right, yOf(0) + 0.5],
    ]);
  });
}

function drawUnknownPast(context: CanvasRenderingContext2D, { layout, knownFrom, now }: Picture, theme: Theme): void {
  const end = Math.min(layout.right, xOf(layout, knownFrom ?? now));
  if (end <= layout.left + 1) return;
  context.fillStyle = theme.surface;
  context.globalAlpha = 0.7;
  context.fillRect(layout.left, layout.memory.top, end - layout.left, layout.axisTop - layout.memory.top);
  context.globalAlpha = 1;
  if (end - layout.left < 120) return;
  context.fillStyle = theme.muted;
  context.textAlign = 'center';
  context.fillText('not known', (layout.left + end) / 2, layout.memory.top + layout.memory.height / 2);
}

function drawCursor(context: CanvasRenderingContext2D, { layout, cursor }: Picture, theme: Theme): void {
  if (cursor === null) return;
  const x = Math.round(xOf(layout, cursor)) + 0.5;
  if (x < layout.left || x > layout.right) return;
  context.strokeStyle = theme.text;
  context.lineWidth = 1;
  line(context, [
    [x, layout.memory.top],
    [x, layout.axisTop + 2],
  ]);
}

/** In the gutter, or above what it names where there is none. */
export function name(
  context: CanvasRenderingContext2D,
  layout: Layout,
  top: number,
  height: number,
  title: string,
  detail: string,
  theme: Theme,
): void {
  context.textAlign = 'left';
  context.fillStyle = theme.text;
  if (layout.left === 0) {
    context.fillText(title, 0, top - 8);
    context.fillStyle = theme.muted;
    context.fillText(detail, context.measureText(`${title}  `).width, top - 8);
    return;
  }
  const middle = top + height / 2;
  context.fillText(title, 0, middle - (detail === '' ? 0 : 8), layout.left - 12);
  context.fillStyle = theme.muted;
  context.fillText(detail, 0, middle + 8, layout.left - 12);
}

export function line(context: CanvasRenderingContext2D, path: readonly (readonly [number, number])[]): void {
  context.beginPath();
  for (const [index, [x, y]] of path.entries()) {
    if (index === 0) context.moveTo(x, y);
    else context.lineTo(x, y);
  }
  context.stroke();
}

export function clip(context: CanvasRenderingContext2D, layout: Layout, paint: () => void): void {
  context.save();
  context.beginPath();
  context.rect(layout.left, 0, layout.right - layout.left, layout.height);
  context.clip();
  paint();
  context.restore();
}
