/** What a benchmark prints: the circumstances, tables, and whether each bar is met. */
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { NGINX } from './nginx.js';

/** One promise of the project: the figure of this run and what it must be. */
export interface Bar {
  readonly what: string;
  readonly isMet: boolean;
}

export const atMost = (what: string, value: number, limit: number, unit: string): Bar => ({
  what: `${what}: ${value.toFixed(2)} ${unit}, at most ${limit} ${unit}`,
  isMet: value <= limit,
});

export const atLeast = (what: string, value: number, limit: number): Bar => ({
  what: `${what}: ${value.toFixed(2)}, at least ${limit}`,
  isMet: value >= limit,
});

/** Figures mean little without the machine they come from. */
export function printCircumstances(title: string, more: readonly string[]): void {
  const processors = cpus();
  const nginx =
    NGINX === null ? 'none' : (spawnSync(NGINX, ['-v'], { encoding: 'utf8' }).stderr.trim().split('/')[1] ?? '?');
  console.log(title);
  console.log(`${new Date().toISOString().slice(0, 10)}; Node ${process.version}; nginx ${nginx}`);
  console.log(`${processors.length} processors, ${processors[0]?.model.trim() ?? 'unknown'}`);
  for (const line of more) console.log(line);
}

/** The first column to the left, the others to the right. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  console.log();
  for (const row of rows) {
    const cells = row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)));
    console.log(cells.join('   ').trimEnd());
  }
}

/** Returns the exit code. */
export function printBars(bars: readonly Bar[]): number {
  console.log();
  for (const { what, isMet } of bars) console.log(`${isMet ? 'met   ' : 'MISSED'} ${what}`);
  return bars.every(({ isMet }) => isMet) ? 0 : 1;
}
