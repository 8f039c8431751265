/**
 * The files of history: `history/START.jsonl` in the state folder, one line a record, a new file every hour. Owns their
 * names, their order, their bound and the mending of a line that a kill has torn. Knows nothing of what lines say.
 */
import { mkdir, open, readdir, stat, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { WallMs } from '../core/vocabulary.js';

export interface HistoryFile {
  readonly path: string;
  readonly startedAt: WallMs;
}

export interface HistoryBounds {
  /** All files together; default 50 MB. */
  readonly totalBytes: number;
  /** A file that reaches so much is followed by the next; default 4 MB. */
  readonly fileBytes: number;
  /** A file is followed by the next after so long; default an hour. */
  readonly fileMs: number;
  /** What is older is forgotten; default a day. */
  readonly keptMs: number;
}

export const HISTORY_BOUNDS: HistoryBounds = {
  totalBytes: 50_000_000,
  fileBytes: 4_000_000,
  fileMs: 3_600_000,
  keptMs: 24 * 3_600_000,
};

/** Colons are left out: not every file system takes them. */
const NAME = /^(\d{4}-\d\d-\d\dT)(\d\d)-(\d\d)-(\d\d\.\d{3}Z)\.jsonl$/;

/** The oldest first. A folder that is not there has none. */
export async function listHistory(folder: string): Promise<HistoryFile[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  return names
    .flatMap((name) => {
      const startedAt = startOf(name);
      return startedAt === null ? [] : [{ path: join(folder, name), startedAt }];
    })
    .sort((a, b) => a.startedAt - b.startedAt);
}

function startOf(name: string): WallMs | null {
  const [, day, hour, minute, second] = NAME.exec(name) ?? [];
  const startedAt = Date.parse(`${day}${hour}:${minute}:${second}`);
  return Number.isNaN(startedAt) ? null : startedAt;
}

export function historyFile(folder: string, startedAt: WallMs): HistoryFile {
  const name = `${new Date(startedAt).toISOString().replaceAll(':', '-')}.jsonl`;
  return { path: join(folder, name), startedAt };
}

export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

/** Deletes the oldest until the bounds hold; the newest always stays. Returns how many went. */
export async function pruneHistory(folder: string, bounds: HistoryBounds, now: WallMs): Promise<number> {
  const files = await listHistory(folder);
  const sizes = await Promise.all(files.map(async ({ path }) => (await stat(path)).size));
  let total = sizes.reduce((sum, size) => sum + size, 0);
  let gone = 0;
  for (const [index, file] of files.entries()) {
    const next = files[index + 1];
    // A file lasts until the next begins: only then is all of it old.
    if (next === undefined || (total <= bounds.totalBytes && next.startedAt >= now - bounds.keptMs)) break;
    await unlink(file.path);
    total -= sizes[index] ?? 0;
    gone += 1;
  }
  return gone;
}

const TAIL_BYTES = 1_000_000;

/** Cuts what follows the last line break. Returns the bytes that were cut: 0 after a clean end. */
export async function mendTornLine(path: string): Promise<number> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, TAIL_BYTES);
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    const torn = length - 1 - buffer.lastIndexOf(0x0a);
    if (torn > 0) await truncate(path, size - torn);
    return torn;
  } finally {
    await handle.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
