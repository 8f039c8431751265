/** The table of consumers, in as many columns as fit, and what is wrong with those that are down. Owns no state. */
import type { JsonView } from './json-view.js';
import { cell, duration, gib, seconds, UNKNOWN, wrap } from './words.js';

interface Column {
  /** Two lines. */
  readonly title: readonly [string, string];
  readonly side: 'left' | 'right';
  /** The rest of the line, at least this much. */
  readonly takesRest?: number;
  shown(name: string, consumer: JsonView, now: number | null): string;
}

const whole = (key: string) => (_: string, consumer: JsonView) => String(consumer.number(key) ?? UNKNOWN);
/** The word unknown is a dash here, as every unknown is. */
const word = (key: string) => (_: string, consumer: JsonView) => {
  const text = consumer.text(key);
  return text === null || text === 'unknown' ? UNKNOWN : text;
};

const COLUMNS: readonly Column[] = [
  { title: ['', 'CONSUMER'], side: 'left', takesRest: 8, shown: (name) => name },
  { title: ['', 'HEALTH'], side: 'left', shown: word('health') },
  { title: ['', 'RESIDENCY'], side: 'left', shown: word('residency') },
  { title: ['VRAM', 'GiB'], side: 'right', shown: (_, consumer) => gib(consumer.number('gpu_resident_mib')) },
  { title: ['', 'ACTIVE'], side: 'right', shown: whole('active') },
  { title: ['', 'QUEUED'], side: 'right', shown: whole('queued') },
  { title: ['', 'TOTAL'], side: 'right', shown: whole('total_requests') },
  { title: ['', 'FAILED'], side: 'right', shown: whole('failed_requests') },
  { title: ['P50', 's'], side: 'right', shown: (_, consumer) => seconds(consumer.number('run_p50_ms')) },
  { title: ['P95', 's'], side: 'right', shown: (_, consumer) => seconds(consumer.number('run_p95_ms')) },
  { title: ['LAST', 'USED'], side: 'right', shown: (_, consumer, now) => lastUsed(consumer, now) },
];

function lastUsed(consumer: JsonView, now: number | null): string {
  const at = consumer.time('last_used_at');
  return at === null || now === null ? UNKNOWN : duration(now - at);
}

export function consumerLines(consumers: readonly [string, JsonView][], now: number | null, width: number): string[] {
  if (consumers.length === 0) return ['No consumers.'];
  const rows = consumers.map(([name, consumer]) => COLUMNS.map((column) => column.shown(name, consumer, now)));
  const titles = [0, 1].map((line) => COLUMNS.map(({ title }) => title[line] ?? ''));
  const widths = widthsOf([...titles, ...rows], width);
  const line = (cells: readonly string[]): string =>
    cells.map((text, index) => cell(text, widths[index] ?? 0, COLUMNS[index]?.side)).join(' ');
  return [...titles.map(line), ...rows.map(line), ...problems(consumers, width)];
}

function widthsOf(lines: readonly (readonly string[])[], width: number): number[] {
  const wanted = COLUMNS.map((_, index) => Math.max(...lines.map((cells) => [...(cells[index] ?? '')].length)));
  const gaps = COLUMNS.length - 1;
  const others = wanted.reduce((sum, each, index) => (COLUMNS[index]?.takesRest === undefined ? sum + each : sum), 0);
  return wanted.map((each, index) => {
    const least = COLUMNS[index]?.takesRest;
    return least === undefined ? each : Math.max(least, Math.min(each, width - gaps - others));
  });
}

function problems(consumers: readonly [string, JsonView][], width: number): string[] {
  const lines = consumers.flatMap(([name, consumer]) => {
    const error = consumer.text('health_error');
    return error === null ? [] : wrap(`${name}: ${error}`, width);
  });
  return lines.length === 0 ? [] : ['', ...lines];
}
