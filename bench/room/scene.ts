/** One run of the benchmark of room: a pretend card, services on it, the daemon in front. Owns all of it; `close` ends it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { Fact } from '../../src/core/facts.js';
import type { PolicyName } from '../../src/core/vocabulary.js';
import type { Card } from '../../src/demo/card.js';
import type { DemoService } from '../../src/demo/services/service.js';
import { SharedCard } from '../../src/demo/shared-card.js';
import { startDaemon } from '../../src/main.js';

export interface Member {
  readonly start: (card: Card) => Promise<DemoService>;
  /** What the configuration says of it beside its address and its processes. */
  readonly says: Readonly<Record<string, unknown>>;
}

export interface SceneOptions {
  readonly totalMib: number;
  readonly policy: PolicyName;
  readonly members: Readonly<Record<string, Member>>;
  readonly settings?: Readonly<Record<string, unknown>>;
}

export interface Scene {
  readonly url: string;
  readonly card: SharedCard;
  readonly facts: readonly Fact[];
  status(): Promise<unknown>;
  /** No job waits or runs any more. */
  untilIdle(): Promise<void>;
  close(): Promise<void>;
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export async function openScene(options: SceneOptions): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'mgpu-room-'));
  const card = new SharedCard(join(folder, 'card'), { totalMib: options.totalMib, reservedMib: 0 });
  const services: DemoService[] = [];
  const consumers: Record<string, unknown> = {};
  for (const [name, { start, says }] of Object.entries(options.members)) {
    const tenant = card.open(name);
    const service = await start(tenant);
    services.push(service);
    consumers[name] = { url: service.url, processes: { name: tenant.pattern }, ...says };
  }
  const file = join(folder, 'consumers.yaml');
  const settings = {
    bind: '127.0.0.1:0',
    state_dir: join(folder, 'state'),
    policy: options.policy,
    gpu: { source: 'nvidia-smi', interval: '1s' },
    // Daemon and services share one process: on a busy machine its pauses must not look like a service that is down.
    health: { timeout: '30s' },
    ...options.settings,
  };
  writeFileSync(file, stringify({ ...settings, consumers }));
  const daemon = await startDaemon({ source: { file }, env: card.env(), log: silent });
  const facts: Fact[] = [];
  daemon.journal.subscribe(({ fact }) => facts.push(fact));
  const url = daemon.urls[0] ?? '';
  return {
    url,
    card,
    facts,
    status: async () => (await fetch(`${url}/v1/status`)).json(),
    untilIdle: async () => {
      while ([...daemon.broker.snapshot().jobs()].length > 0) await pause(50);
    },
    close: async () => {
      await daemon.stop();
      for (const service of services) await service.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}
