/** The timeline: a canvas that is looked at by pointer, touch or keys, and what it says at the instant looked at. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { timeWithSeconds, utc } from '../data/words.js';
import { draw } from '../timeline/draw.js';
import { lanesOf } from '../timeline/lanes.js';
import { type Layout, layOut } from '../timeline/layout.js';
import { hitAt, hitText, type ReadingLine, readingAt } from '../timeline/reading.js';
import { cardSeriesOf, queueSeriesOf } from '../timeline/series.js';
import { LENGTHS, START, stretchOf } from '../timeline/view.js';
import { jobPath } from './Link.js';
import type { Shared } from './state.js';
import { useCanvas } from './use-canvas.js';
import { type Spot, usePointing } from './use-pointing.js';

export function Timeline({ shared }: { shared: Shared }) {
  const { world, now } = shared;
  const [view, setView] = useState(START);
  const [spot, setSpot] = useState<Spot | null>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const { width, theme } = useCanvas(canvas);
  const stretch = stretchOf(view, now);
  const layoutRef = useRef<Layout | null>(null);

  const lanes = lanesOf(world, stretch);
  const layout = layOut(lanes, stretch, width);
  layoutRef.current = layout;
  const cards = cardSeriesOf(world, stretch);
  const queue = queueSeriesOf(world, stretch);

  useEffect(() => shared.loadHistory(stretch.from - view.lengthMs / 4), [view]);
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext('2d');
    if (element == null || context == null || theme === null || width === 0) return;
    const scale = window.devicePixelRatio || 1;
    fit(element, layout, scale);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    draw(context, { layout, cards, queue, now, knownFrom: world.knownFrom, cursor: spot?.at ?? null }, theme);
  });

  const pointing = usePointing({ layoutRef, now, view, setView, setSpot, spot });
  const reading = spot === null ? null : readingAt(spot.at, lanes, cards, queue, now);
  const hit = spot === null || spot.y === null ? null : hitAt(layout, spot.x, spot.y, now);
  const summary = useMemo(() => summaryOf(lanes.length, view.lengthMs), [lanes.length, view.lengthMs]);

  return (
    <section class="panel timeline" aria-labelledby="timeline-title">
      <div class="panel-head">
        <h2 id="timeline-title">Timeline</h2>
        <fieldset class="tools" aria-label="How much time is shown">
          {LENGTHS.map(({ label, ms }) => (
            <button
              key={label}
              type="button"
              aria-pressed={view.lengthMs === ms}
              onClick={() => setView({ ...view, lengthMs: ms })}
            >
              {label}
            </button>
          ))}
          <button type="button" aria-pressed={view.endsAt === null} onClick={() => setView({ ...view, endsAt: null })}>
            Now
          </button>
        </fieldset>
      </div>
      <div class="canvas-box">
        <canvas
          ref={canvas}
          role="img"
          tabIndex={0}
          aria-label={summary}
          class={hit === null ? '' : 'hit'}
          {...pointing}
          onClick={() => {
            const id = hit === null ? null : hit.kind === 'job' ? hit.id : hit.point.job;
            if (id !== null) shared.go(jobPath(id));
          }}
        />
        {reading !== null && spot !== null && (
          <Reading
            at={spot.at}
            x={spot.x}
            width={width}
            lines={reading}
            note={hit === null ? null : hitText(hit, lanes)}
          />
        )}
      </div>
      <p class="hint">Drag or arrow keys to go back, Ctrl+wheel or + and − to zoom; a block opens its job.</p>
    </section>
  );
}

function fit(element: HTMLCanvasElement, layout: Layout, scale: number): void {
  const [wide, high] = [Math.round(layout.width * scale), Math.round(layout.height * scale)];
  if (element.width !== wide || element.height !== high) {
    element.width = wide;
    element.height = high;
  }
  element.style.height = `${layout.height}px`;
}

function summaryOf(lanes: number, lengthMs: number): string {
  const minutes = Math.round(lengthMs / 60_000);
  return `What had the card in the last ${minutes} minutes, a lane for each of ${lanes} consumers. The same is told in words under What happened.`;
}

interface ReadingProps {
  readonly at: number;
  readonly x: number;
  readonly width: number;
  readonly lines: readonly ReadingLine[];
  readonly note: string | null;
}

function Reading({ at, x, width, lines, note }: ReadingProps) {
  const rightward = x < width / 2;
  return (
    <div class="reading" style={rightward ? { left: `${x + 14}px` } : { right: `${width - x + 14}px` }}>
      <p class="reading-time" title={utc(at)}>
        {timeWithSeconds(at)}
      </p>
      {note !== null && <p class="reading-note">{note}</p>}
      <dl>
        {lines.map(({ name, colour, text }) => (
          <div key={name}>
            <dt data-colour={colour === null ? undefined : colour % 10}>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
