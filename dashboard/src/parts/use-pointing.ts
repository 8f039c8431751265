/** Pointer, wheel and keys on the timeline: look at an instant, go back and forth, come closer. */
import type { RefObject } from 'preact';
import { useRef } from 'preact/hooks';
import { type Layout, timeAt, xOf } from '../timeline/layout.js';
import { moved, type View, zoomed } from '../timeline/view.js';

/** The instant that is looked at; `y` null: by keys. */
export interface Spot {
  readonly at: number;
  readonly x: number;
  readonly y: number | null;
}

export interface Pointing {
  readonly layoutRef: RefObject<Layout | null>;
  readonly now: number;
  readonly view: View;
  readonly spot: Spot | null;
  readonly setView: (view: View) => void;
  readonly setSpot: (spot: Spot | null) => void;
}

export function usePointing(pointing: Pointing) {
  const latest = useRef(pointing);
  latest.current = pointing;
  const dragFrom = useRef<{ x: number; view: View } | null>(null);

  const at = (x: number, y: number | null): void => {
    const layout = latest.current.layoutRef.current;
    if (layout === null) return;
    const inside = Math.min(layout.right, Math.max(layout.left, x));
    latest.current.setSpot({ at: timeAt(layout, inside), x: inside, y });
  };

  return {
    onPointerDown(event: PointerEvent) {
      dragFrom.current = { x: event.offsetX, view: latest.current.view };
      at(event.offsetX, event.offsetY);
    },
    onPointerMove(event: PointerEvent) {
      const drag = dragFrom.current;
      const { layoutRef, now, setView } = latest.current;
      const layout = layoutRef.current;
      if (drag !== null && layout !== null && event.buttons === 1 && Math.abs(event.offsetX - drag.x) > 4) {
        const msPerPixel = drag.view.lengthMs / (layout.right - layout.left);
        setView(moved(drag.view, (event.offsetX - drag.x) * msPerPixel, now));
      }
      at(event.offsetX, event.offsetY);
    },
    onPointerUp() {
      dragFrom.current = null;
    },
    onPointerLeave() {
      dragFrom.current = null;
      latest.current.setSpot(null);
    },
    onBlur: () => latest.current.setSpot(null),
    onWheel(event: WheelEvent) {
      const { layoutRef, now, view, setView } = latest.current;
      const layout = layoutRef.current;
      // The plain wheel scrolls the page, as everywhere.
      if (layout === null || !(event.ctrlKey || event.metaKey || event.shiftKey)) return;
      event.preventDefault();
      if (event.shiftKey) setView(moved(view, -event.deltaY * 0.001 * view.lengthMs, now));
      else setView(zoomed(view, event.deltaY > 0 ? 1.25 : 0.8, timeAt(layout, event.offsetX), now));
    },
    onKeyDown(event: KeyboardEvent) {
      if (key(event, latest.current)) event.preventDefault();
    },
  };
}

/** False: not ours. */
function key(event: KeyboardEvent, { layoutRef, now, view, spot, setView, setSpot }: Pointing): boolean {
  const layout = layoutRef.current;
  if (layout === null || event.ctrlKey || event.metaKey || event.altKey) return false;
  const around = spot?.at ?? layout.to;
  const step = view.lengthMs / (event.shiftKey ? 10 : 60);
  const look = (instant: number): void => {
    if (instant < layout.from) setView(moved(view, layout.from - instant, now));
    if (instant > layout.to) setView(moved(view, layout.to - instant, now));
    const inside = Math.min(layout.to, Math.max(layout.from, instant));
    setSpot({ at: inside, x: xOf(layout, inside), y: null });
  };
  switch (event.key) {
    case 'ArrowLeft':
      look(around - step);
      return true;
    case 'ArrowRight':
      look(around + step);
      return true;
    case 'Home':
      setView(moved(view, view.lengthMs, now));
      return true;
    case 'End':
      setView({ ...view, endsAt: null });
      return true;
    case '+':
    case '=':
      setView(zoomed(view, 0.8, around, now));
      return true;
    case '-':
      setView(zoomed(view, 1.25, around, now));
      return true;
    case 'Escape':
      setSpot(null);
      return true;
    default:
      return false;
  }
}
