/** Where things stand in the timeline, in CSS pixels. Pure. */
import type { Lane, Row, Stretch } from './lanes.js';

export interface Layout extends Stretch {
  readonly width: number;
  readonly height: number;
  /** Where time begins; left of it stand the names, where there is room for them. */
  readonly left: number;
  readonly right: number;
  readonly memory: { readonly top: number; readonly height: number };
  readonly lanes: readonly LaidLane[];
  readonly queue: { readonly top: number; readonly height: number };
  readonly axisTop: number;
}

export interface LaidLane {
  readonly lane: Lane;
  readonly top: number;
  readonly height: number;
  /** A line of its own for the consumer's name, where its rows have names too; else 0. */
  readonly nameHeight: number;
  readonly rows: readonly { readonly row: Row; readonly top: number; readonly height: number }[];
}

const NARROW = 640;
const GUTTER = 138;
const MEMORY_HEIGHT = 58;
const QUEUE_HEIGHT = 30;
const AXIS_HEIGHT = 22;
const GAP = 10;
const ROW_HEIGHT = 26;
const NAME_HEIGHT = 16;

export function layOut(lanes: readonly Lane[], stretch: Stretch, width: number): Layout {
  const narrow = width < NARROW;
  const left = narrow ? 0 : GUTTER;
  const nameHeight = narrow ? NAME_HEIGHT : 0;
  let top = nameHeight + 4;
  const memory = { top, height: MEMORY_HEIGHT };
  top += MEMORY_HEIGHT + GAP;
  const laid = lanes.map((lane) => {
    const ownLine = narrow || lane.rows.some(({ label }) => label !== null) ? NAME_HEIGHT : 0;
    const rowTop = top + ownLine;
    const rows = lane.rows.map((row, index) => ({ row, top: rowTop + index * ROW_HEIGHT, height: ROW_HEIGHT - 2 }));
    const height = ownLine + rows.length * ROW_HEIGHT;
    const place = { lane, top, height, nameHeight: ownLine, rows };
    top += height + 6;
    return place;
  });
  top += GAP - 4 + nameHeight;
  const queue = { top, height: QUEUE_HEIGHT };
  top += QUEUE_HEIGHT + 4;
  return { ...stretch, width, left, right: width, memory, lanes: laid, queue, axisTop: top, height: top + AXIS_HEIGHT };
}

export function xOf(layout: Layout, at: number): number {
  return layout.left + ((at - layout.from) / (layout.to - layout.from)) * (layout.right - layout.left);
}

export function timeAt(layout: Layout, x: number): number {
  return layout.from + ((x - layout.left) / (layout.right - layout.left)) * (layout.to - layout.from);
}

const STEPS_S = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400];

/** Round times, about one every 90 pixels. */
export function ticks(layout: Layout): number[] {
  const wanted = (layout.to - layout.from) / Math.max(2, (layout.right - layout.left) / 90) / 1000;
  const stepMs = (STEPS_S.find((step) => step >= wanted) ?? 14_400) * 1000;
  // Round on the reader's own clock, which half hours off UTC shift.
  const shift = new Date(layout.from).getTimezoneOffset() * 60_000;
  const first = Math.ceil((layout.from - shift) / stepMs) * stepMs + shift;
  const found: number[] = [];
  for (let at = first; at <= layout.to; at += stepMs) found.push(at);
  return found;
}
