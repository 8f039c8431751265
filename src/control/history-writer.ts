/**
 * Appends records to the newest file of history, twice a second, and begins a new file in time. Owns the records not
 * yet written and the last known state of every target and consumer, with which each file begins, so that a reader of
 * one file knows how things stood. A disk that fails costs history, never the broker.
 */
import { appendFile, stat } from 'node:fs/promises';
import type { WallMs } from '../core/vocabulary.js';
import type { Log } from '../runtime/ports.js';
import {
  type HistoryBounds,
  type HistoryFile,
  historyFile,
  listHistory,
  makeFolder,
  mendTornLine,
  pruneHistory,
} from './history-files.js';
import type { HistoryRecord } from './history-record.js';

/** A kill loses what came within this time. */
const WRITE_EVERY_MS = 500;
/** What may wait for a disk that does not take it; the oldest is dropped first. */
const MAX_WAITING = 10_000;

/** Targets and consumers whose state a new file begins with. */
const MAX_STANDING = 2000;

export interface HistoryWriterOptions {
  readonly folder: string;
  readonly bounds: HistoryBounds;
  readonly log: Log;
  readonly wallNow: () => WallMs;
}

interface Waiting {
  readonly at: string;
  readonly line: string;
  /** The record itself, where a new file begins with it. */
  readonly standing: HistoryRecord | null;
}

export class HistoryWriter {
  readonly #options: HistoryWriterOptions;
  /** By what it is about: the newest record that says how a target or a consumer is. */
  readonly #standing = new Map<string, HistoryRecord>();
  #waiting: Waiting[] = [];
  #file: HistoryFile | null = null;
  #sizeBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #turn: Promise<void> = Promise.resolve();
  #failing = false;

  constructor(options: HistoryWriterOptions) {
    this.#options = options;
  }

  /** Records that come before are kept and written now. */
  async start(): Promise<void> {
    await this.#guarded(() => this.#continueNewest());
    this.#timer = setInterval(() => void this.flush(), WRITE_EVERY_MS);
    this.#timer.unref();
  }

  add(record: HistoryRecord): void {
    // As text at once: records of half a second would live just long enough to be dear for the garbage collector.
    this.#waiting.push({ at: record.at, line: lineOf(record), standing: aboutWhat(record) === null ? null : record });
    if (this.#waiting.length > MAX_WAITING) this.#waiting.splice(0, this.#waiting.length - MAX_WAITING);
  }

  /** Resolves when everything added so far is in the file, or when the disk refused it. Before the start: at once. */
  flush(): Promise<void> {
    if (this.#timer === null) return Promise.resolve();
    this.#turn = this.#turn.then(() => this.#guarded(() => this.#write()));
    return this.#turn;
  }

  async close(): Promise<void> {
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    await this.flush();
    this.#timer = null;
  }

  async #continueNewest(): Promise<void> {
    const { folder, bounds, log, wallNow } = this.#options;
    await makeFolder(folder);
    const newest = (await listHistory(folder)).at(-1);
    if (newest !== undefined) {
      const torn = await mendTornLine(newest.path);
      if (torn > 0) log.info({ bytes: torn, file: newest.path }, 'cut the torn last line of history');
      const { size } = await stat(newest.path);
      const age = wallNow() - newest.startedAt;
      if (size < bounds.fileBytes && age >= 0 && age < bounds.fileMs) {
        this.#file = newest;
        this.#sizeBytes = size;
      }
    }
    await pruneHistory(folder, bounds, wallNow());
  }

  async #write(): Promise<void> {
    const records = this.#waiting;
    const [first] = records;
    if (first === undefined) return;
    this.#waiting = [];
    try {
      const file = await this.#fileFor(first);
      const text = records.map(({ line }) => line).join('');
      await appendFile(file.path, text, { mode: 0o600 });
      this.#sizeBytes += Buffer.byteLength(text);
    } catch (error) {
      this.#waiting = [...records, ...this.#waiting].slice(-MAX_WAITING);
      throw error;
    }
    for (const { standing } of records) if (standing !== null) this.#stand(standing);
  }

  #stand(record: HistoryRecord): void {
    const about = aboutWhat(record);
    if (about === null) return;
    // Deleted first, so that the Map's order is that of the last change.
    this.#standing.delete(about);
    this.#standing.set(about, record);
    if (this.#standing.size <= MAX_STANDING) return;
    const oldest = this.#standing.keys().next();
    if (oldest.done !== true) this.#standing.delete(oldest.value);
  }

  async #fileFor(first: Waiting): Promise<HistoryFile> {
    const { folder, bounds, wallNow } = this.#options;
    const now = wallNow();
    const current = this.#file;
    if (current !== null && this.#sizeBytes < bounds.fileBytes && now - current.startedAt < bounds.fileMs) {
      return current;
    }
    await makeFolder(folder);
    // A file is named by its first record, so that readers find it; names sort by time, even if the clock was set back.
    const startedAt = Math.max(Math.min(now, Date.parse(first.at)), (current?.startedAt ?? 0) + 1);
    const next = historyFile(folder, startedAt);
    const standing = [...this.#standing.values()].map((record) => lineOf(carried(record))).join('');
    await appendFile(next.path, standing, { mode: 0o600 });
    this.#file = next;
    this.#sizeBytes = Buffer.byteLength(standing);
    await pruneHistory(folder, bounds, now);
    return next;
  }

  /** A failure is told once, until it works again; the records wait. */
  async #guarded(work: () => Promise<void>): Promise<void> {
    const { log, folder } = this.#options;
    try {
      await work();
      if (this.#failing) log.info({ folder }, 'history is written again');
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) {
        log.error({ err: error, folder }, 'history cannot be written; free some space or mend the rights of state_dir');
      }
      this.#failing = true;
    }
  }
}

const lineOf = (record: HistoryRecord): string => `${JSON.stringify(record)}\n`;

function carried({ at, event, ...rest }: HistoryRecord): HistoryRecord {
  return { at, carried: true, event, ...rest };
}

export function aboutWhat(record: Readonly<Record<string, unknown>>): string | null {
  if (record.event === 'target') return `target ${String(record.target)}`;
  if (record.event === 'consumer') return `consumer ${String(record.consumer)}`;
  return null;
}
