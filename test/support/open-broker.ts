/** The whole daemon in this process, from the text of a configuration, for the length of one test. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { stringify } from 'yaml';
import type { Fact } from '../../src/core/facts.js';
import { type Daemon, startDaemon } from '../../src/main.js';
import { SilentLog } from './silent-log.js';
import { call, type WireAnswer, type WireRequest } from './wire.js';

export interface OpenBroker {
  readonly daemon: Daemon;
  readonly port: number;
  readonly file: string;
  readonly folder: string;
  readonly log: SilentLog;
  readonly call: (path: string, asked?: WireRequest) => Promise<WireAnswer>;
  readonly status: () => Promise<Status>;
  /** The next fact that satisfies, from now on; or at once if `already` holds. */
  readonly until: (satisfies: (fact: Fact) => boolean, already?: () => boolean) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** The part of `/v1/status` that tests look at. */
export interface Status {
  readonly state: string;
  readonly config: { readonly loaded_at: string; readonly error: string | null };
  readonly gpu: {
    readonly error: string | null;
    readonly age_ms: number | null;
    readonly cards: readonly { readonly used_mib: number | null; readonly utilization_pct: number | null }[];
  };
  readonly scheduler: { readonly queue_depth: number; readonly in_flight: number; readonly total_jobs: number };
  readonly consumers: Readonly<
    Record<
      string,
      {
        readonly health: string;
        readonly total_requests: number;
        readonly failed_requests: number;
        readonly active: number;
      }
    >
  >;
  readonly jobs: readonly {
    readonly id: string;
    readonly state: string;
    readonly reason: { readonly code: string } | null;
  }[];
}

/** `settings` is the configuration as the file would say it; `bind` and `state_dir` are added. */
export async function openBroker(
  t: TestContext,
  settings: Readonly<Record<string, unknown>>,
  env: NodeJS.ProcessEnv = process.env,
): Promise<OpenBroker> {
  const folder = await mkdtemp(join(tmpdir(), 'mgpu-broker-'));
  const file = join(folder, 'consumers.yaml');
  const state_dir = join(folder, 'state');
  await writeFile(file, stringify({ bind: '127.0.0.1:0', gpu: { source: 'none' }, state_dir, ...settings }));
  const log = new SilentLog();
  const daemon = await startDaemon({ source: { file }, env, log });
  const port = Number(new URL(daemon.urls[0] ?? '').port);
  let stopped: Promise<void> | null = null;
  const stop = () => {
    stopped ??= daemon.stop();
    return stopped;
  };
  t.after(async () => {
    await stop();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    daemon,
    port,
    file,
    folder,
    log,
    stop,
    call: (path, asked) => call(port, path, asked),
    status: async () => JSON.parse((await call(port, '/v1/status')).text) as Status,
    until: (satisfies, already) => untilFact(daemon, satisfies, already),
  };
}

function untilFact(daemon: Daemon, satisfies: (fact: Fact) => boolean, already?: () => boolean): Promise<void> {
  if (already?.() === true) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = daemon.journal.subscribe(({ fact }) => {
      if (!satisfies(fact)) return;
      stop();
      resolve();
    });
  });
}

/** Resolves when every consumer's first probe was good. */
export async function untilAllUp({ daemon, until }: OpenBroker): Promise<void> {
  const allUp = () => daemon.broker.snapshot().consumers.every((consumer) => consumer.health === 'up');
  while (!allUp()) await until((fact) => fact.type === 'consumer', allUp);
}
