/** How wide the canvas is and in which colours it is painted; both change while one looks. */
import type { RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { readTheme, type Theme } from '../timeline/theme.js';

export function useCanvas(canvas: RefObject<HTMLCanvasElement | null>): { width: number; theme: Theme | null } {
  const [width, setWidth] = useState(0);
  const [theme, setTheme] = useState<Theme | null>(null);
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return;
    const sizes = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    sizes.observe(element);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const take = () => setTheme(readTheme(element));
    take();
    dark.addEventListener('change', take);
    return () => {
      sizes.disconnect();
      dark.removeEventListener('change', take);
    };
  }, [canvas]);
  return { width, theme };
}
