/** A long list of rows of one height: only those in sight exist, the others are room. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

const SPARE_ROWS = 6;
/** Up to so many rows all of them are there, and the page itself scrolls. */
const ALL_UP_TO = 12;

export interface VirtualRowsProps<T> {
  readonly items: readonly T[];
  readonly label: string;
  readonly rowHeight: number;
  readonly keyOf: (item: T) => string;
  readonly row: (item: T, index: number) => ComponentChildren;
}

export function VirtualRows<T>({ items, label, rowHeight, keyOf, row }: VirtualRowsProps<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const scrolls = items.length > ALL_UP_TO;
  const inSight = scrolls ? Math.ceil(((box.current?.clientHeight ?? 480) || 480) / rowHeight) : items.length;
  const first = scrolls ? Math.max(0, Math.floor(top / rowHeight) - SPARE_ROWS) : 0;
  const last = Math.min(items.length, first + inSight + 2 * SPARE_ROWS);
  useEffect(() => {
    // The list became shorter than where one had scrolled to.
    const element = box.current;
    if (element !== null && element.scrollTop !== top) setTop(element.scrollTop);
  });
  // What scrolls can be reached by keys; what lies in the list's own room must not make the box grow.
  const focus = scrolls ? ({ role: 'group', 'aria-label': label, tabIndex: 0 } as const) : {};
  const room = { paddingTop: `${first * rowHeight}px`, paddingBottom: `${(items.length - last) * rowHeight}px` };
  return (
    <div
      ref={box}
      class={`rows ${scrolls ? 'scrolls' : ''}`}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      {...focus}
    >
      <ol aria-label={label} style={room}>
        {items.slice(first, last).map((item, index) => (
          <li key={keyOf(item)} class="row" aria-setsize={items.length} aria-posinset={first + index + 1}>
            {row(item, first + index)}
          </li>
        ))}
      </ol>
    </div>
  );
}
