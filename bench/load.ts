/** Load on one URL: small JSON by POST from 64 connections, from a process of its own. Keeps nothing. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ROOT } from './children.js';

export const CONNECTIONS = 64;

const slice = z.object({
  requests: z.number(),
  seconds: z.number(),
  failed: z.number(),
  p50Ms: z.number(),
  p99Ms: z.number(),
});
export type Slice = z.infer<typeof slice>;

/** `wrk -v` ends with 1; that it ran is what counts. */
export const HAS_WRK: boolean = spawnSync('wrk', ['-v']).error === undefined;

/** Blocks until the slice is over: nothing of ours shall run meanwhile. Throws when nothing came through. */
export function loadFor(seconds: number, url: string): Slice {
  const [program, args] = HAS_WRK
    ? ['wrk', ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '-s', join(ROOT, 'bench/post.lua'), url]]
    : [process.execPath, [scriptPath(), url, String(CONNECTIONS), String(seconds)]];
  const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8' });
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (status !== 0 || !line.startsWith('{')) throw new Error(`the load on ${url} failed: ${stdout}${stderr}`);
  const result = slice.parse(JSON.parse(line));
  if (result.requests === 0) throw new Error(`no answer came from ${url}`);
  return result;
}

const scriptPath = (): string => fileURLToPath(new URL('./load-process.js', import.meta.url));
