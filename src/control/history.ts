/**
 * What happened in the last day, kept on disk across restarts: written from the journal, read by `GET /v1/history` and
 * by whoever asks for a job that memory has forgotten. Owns the writer; decides nothing.
 */
import { join } from 'node:path';
import { z } from 'zod';
import type { WallMs } from '../core/vocabulary.js';
import { BrokerError } from '../errors.js';
import type { Clock, JournalPort, Log } from '../runtime/ports.js';
import type { Exchange, Route } from '../server/exchange.js';
import { sendJson } from '../server/respond.js';
import { HISTORY_BOUNDS, type HistoryBounds } from './history-files.js';
import { readJob, readStretch } from './history-reader.js';
import { createHistoryRecords } from './history-record.js';
import { HistoryWriter } from './history-writer.js';
import type { JobDetailJson } from './job-json.js';

export interface HistoryOptions {
  readonly journal: JournalPort;
  readonly clock: Clock;
  readonly log: Log;
  /** History is the folder `history` in it. */
  readonly stateDir: string;
  readonly version: string;
  readonly bounds?: Partial<HistoryBounds>;
}

export interface History {
  readonly routes: readonly Route[];
  /** A job that ended within the last day; null: none of that id. */
  findJob(id: string): Promise<JobDetailJson | null>;
  /** Nothing touches the disk before. Does not fail: a disk that cannot be used is told in the log. */
  start(): Promise<void>;
  /** Resolves when what was told so far is on disk, or was refused by it. */
  flush(): Promise<void>;
  /** Writes what is left. */
  close(): Promise<void>;
}

const JOB_ID = /^j_[A-Za-z0-9]{1,40}$/;
const DEFAULT_STRETCH_MS = 10 * 60_000;
/** Readings of the disk at once; further ones wait for their turn in the order they came. */
const MAX_READERS = 2;
const MAX_QUEUED_READERS = 100;

const limitSchema = z.coerce.number().int().min(1).max(20_000).default(5000);

export function createHistory(options: HistoryOptions): History {
  const { journal, clock, log } = options;
  const folder = join(options.stateDir, 'history');
  const wallNow = (): WallMs => clock.wallOf(clock.now());
  const bounds = { ...HISTORY_BOUNDS, ...options.bounds };
  const writer = new HistoryWriter({ folder, bounds, log, wallNow });
  const records = createHistoryRecords(clock);
  const inTurn = createTurns();

  const note = (change: string) => {
    const at = new Date(wallNow()).toISOString();
    writer.add({ at, event: 'daemon', change, version: options.version });
  };
  note('started');
  const unsubscribe = journal.subscribe((fact) => {
    const record = records.of(fact);
    if (record !== null) writer.add(record);
  });

  async function stretch(exchange: Exchange): Promise<void> {
    const { from, to, limit } = readQuery(exchange.query, wallNow());
    await writer.flush();
    const found = await inTurn(() => readStretch(folder, from, to, limit));
    const [begins, ends] = [found.from, found.to].map((at) => new Date(at).toISOString());
    sendJson(exchange, 200, { ...found, from: begins, to: ends });
  }

  return {
    routes: [{ method: 'GET', path: '/v1/history', needs: 'ask', handler: stretch }],
    async findJob(id) {
      if (!JOB_ID.test(id)) return null;
      await writer.flush();
      return inTurn(() => readJob(folder, id));
    },
    start: () => writer.start(),
    flush: () => writer.flush(),
    async close() {
      unsubscribe();
      note('stopped');
      await writer.close();
    },
  };
}

/** Whoever asks for a whole day again and again must not keep the disk from the others. */
function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  const queue: (() => void)[] = [];
  let reading = 0;
  return async (work) => {
    if (reading >= MAX_READERS) {
      if (queue.length >= MAX_QUEUED_READERS) {
        throw new BrokerError('no_space', `${queue.length} readers of history wait already; ask again in a moment`);
      }
      await new Promise<void>((resolve) => queue.push(resolve));
    }
    reading += 1;
    try {
      return await work();
    } finally {
      reading -= 1;
      queue.shift()?.();
    }
  };
}

function readQuery(query: string, now: WallMs): { from: WallMs; to: WallMs; limit: number } {
  const asked = new URLSearchParams(query);
  const to = momentOf('to', asked.get('to')) ?? now;
  const from = momentOf('from', asked.get('from')) ?? to - DEFAULT_STRETCH_MS;
  if (from > to) throw new BrokerError('bad_request', 'from is later than to', { param: 'from' });
  const limit = limitSchema.safeParse(asked.get('limit') ?? undefined);
  if (!limit.success) {
    const text = `limit must be a whole number from 1 to 20000, not ${asked.get('limit')}`;
    throw new BrokerError('bad_request', text, { param: 'limit' });
  }
  return { from, to, limit: limit.data };
}

function momentOf(param: string, text: string | null): WallMs | null {
  if (text === null) return null;
  const at = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Math.abs(at) <= 8.64e15) return at;
  const hint = 'a time like 2026-11-25T08:00:00Z, or milliseconds since 1970';
  throw new BrokerError('bad_request', `${param} must be ${hint}, not ${text}`, { param });
}
