/**
 * Reads history back: a stretch of time, or one job. Lines are read as a stream, so that a long file neither fills the
 * memory nor holds the broker up. Lines that are torn or not ours are passed over. Keeps nothing.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { WallMs } from '../core/vocabulary.js';
import { type HistoryFile, listHistory } from './history-files.js';
import { aboutWhat } from './history-writer.js';
import type { JobDetailJson } from './job-json.js';
import { storedJobOf } from './stored-job.js';

type Line = Readonly<Record<string, unknown>>;

export interface HistoryStretch {
  /** Where the records begin: later than asked for where there were more than `limit`. */
  readonly from: WallMs;
  readonly to: WallMs;
  /** True: older records of the stretch were left out. */
  readonly truncated: boolean;
  /** The last word on every target and consumer before `from`. */
  readonly before: readonly Line[];
  /** The oldest first. */
  readonly records: readonly Line[];
}

const AT_PREFIX = '{"at":"';
const ISO_LENGTH = 24;
const CARRIED = '","carried":true';

export async function readStretch(folder: string, from: WallMs, to: WallMs, limit: number): Promise<HistoryStretch> {
  const standing = new Map<string, Line>();
  const records: Line[] = [];
  let left = 0;
  for (const file of filesFor(await listHistory(folder), from, to)) {
    for await (const line of linesOf(file)) {
      const at = timeOf(line);
      if (at === null || at > to) continue;
      // Said again at the start of a file; the first saying is in the file before.
      if (at >= from && line.startsWith(CARRIED, AT_PREFIX.length + ISO_LENGTH)) continue;
      const record = parsed(line);
      if (record === null) continue;
      if (at < from) {
        stand(standing, record);
        continue;
      }
      records.push(record);
      // The newest are kept; what is cut off still says how things stood.
      if (records.length > 2 * limit) for (const old of cutOff(records, limit)) left += stand(standing, old);
    }
  }
  for (const old of cutOff(records, limit)) left += stand(standing, old);
  const first = records[0]?.at;
  const begins = left > 0 && typeof first === 'string' ? Date.parse(first) : from;
  return { from: begins, to, truncated: left > 0, before: [...standing.values()], records };
}

/** Searches from the newest file back; null: it is not there. `id` must have been checked to be a job's id. */
export async function readJob(folder: string, id: string): Promise<JobDetailJson | null> {
  const files = await listHistory(folder);
  for (const file of files.reverse()) {
    for await (const line of linesOf(file)) {
      if (!line.includes(`"id":"${id}"`)) continue;
      const job = storedJobOf(line);
      if (job?.id === id) return job;
    }
  }
  return null;
}

/** A file holds what happened from its start to the next one's; the one in which `from` lies tells what was before. */
function filesFor(files: readonly HistoryFile[], from: WallMs, to: WallMs): HistoryFile[] {
  return files.filter((file, index) => file.startedAt <= to && (files[index + 1]?.startedAt ?? Infinity) > from);
}

async function* linesOf(file: HistoryFile): AsyncGenerator<string> {
  const input = createReadStream(file.path, 'utf8');
  try {
    yield* createInterface({ input, crlfDelay: Infinity });
  } catch (error) {
    // Deleted to keep the bounds between listing and reading: forgotten, no error.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  } finally {
    input.destroy();
  }
}

function timeOf(line: string): WallMs | null {
  if (!line.startsWith(AT_PREFIX)) return null;
  const at = Date.parse(line.slice(AT_PREFIX.length, AT_PREFIX.length + ISO_LENGTH));
  return Number.isNaN(at) ? null : at;
}

function parsed(line: string): Line | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

function cutOff(records: Line[], limit: number): Line[] {
  return records.splice(0, Math.max(0, records.length - limit));
}

/** Returns 1, to count with. A daemon that starts knows nothing yet: what stood before it stands no more. */
function stand(standing: Map<string, Line>, record: Line): number {
  if (record.event === 'daemon') standing.clear();
  const about = aboutWhat(record);
  if (about !== null) standing.set(about, record);
  return 1;
}
