/** A card that is too small, plain services on it, and the whole daemon in front of them, for one test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Fact } from '../../src/core/facts.js';
import { type Residency, targetName } from '../../src/core/vocabulary.js';
import { type PlainOptions, type PlainService, startPlain } from '../../src/demo/services/plain.js';
import { SharedCard, type SharedTenant } from '../../src/demo/shared-card.js';
import { type OpenBroker, openBroker, untilAllUp } from './open-broker.js';
import type { WireAnswer } from './wire.js';

/** Generous, for a machine that is busy with others; nothing waits for it. */
export const ROOM_TEST = { timeout: 120_000 } as const;

export interface RoomService extends Omit<PlainOptions, 'name' | 'card'> {
  /** What the configuration says of it beside its address and its processes. */
  readonly says?: Readonly<Record<string, unknown>>;
}

export interface Room {
  readonly card: SharedCard;
  readonly broker: OpenBroker;
  readonly service: (name: string) => PlainService;
  readonly tenant: (name: string) => SharedTenant;
  /** A job; the answer's status and body. */
  readonly post: (name: string, path?: string) => Promise<WireAnswer>;
  readonly act: (action: string, target: string) => Promise<WireAnswer>;
  readonly status: () => Promise<unknown>;
  /** Moves of targets so far, `name from>to`. */
  readonly moves: string[];
  readonly facts: Fact[];
  readonly untilResidency: (name: string, residency: Residency) => Promise<void>;
}

export interface RoomOptions {
  readonly totalMib: number;
  readonly services: Readonly<Record<string, RoomService>>;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly gpu?: Readonly<Record<string, unknown>>;
  /** Loaded before the daemon starts. */
  readonly loaded?: readonly string[];
  /** Before the daemon starts. */
  readonly prepare?: (card: SharedCard) => void;
}

/** `ends` is done in its order before the card goes; hooks of the test itself run in the order of their making. */
export async function openCardFor(
  t: TestContext,
  totalMib: number,
  ends: (() => Promise<void>)[],
): Promise<SharedCard> {
  const folder = await mkdtemp(join(tmpdir(), 'mgpu-card-'));
  t.after(async () => {
    for (const end of ends) await end();
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  });
  return new SharedCard(folder, { totalMib, reservedMib: 0 });
}

export async function openRoom(t: TestContext, options: RoomOptions): Promise<Room> {
  const ends: (() => Promise<void>)[] = [];
  const card = await openCardFor(t, options.totalMib, ends);
  const services = new Map<string, PlainService>();
  const tenants = new Map<string, SharedTenant>();
  const consumers: Record<string, unknown> = {};
  for (const [name, { says, ...plain }] of Object.entries(options.services)) {
    const tenant = card.open(name);
    const service = await startPlain({ ...plain, name, card: tenant });
    ends.push(() => service.close());
    services.set(name, service);
    tenants.set(name, tenant);
    consumers[name] = {
      url: service.url,
      health: '/health',
      unload: 'POST /unload',
      vram_resident_mib: plain.residentMib,
      vram_run_mib: plain.runMib,
      processes: { name: tenant.pattern },
      ...says,
    };
  }
  for (const name of options.loaded ?? []) await services.get(name)?.load();
  options.prepare?.(card);
  const broker = await openBroker(
    t,
    {
      policy: 'vram-lru',
      gpu: { source: 'nvidia-smi', interval: '500ms', reserve_mib: 500, ...options.gpu },
      consumers,
      ...options.settings,
    },
    card.env(),
  );
  ends.unshift(broker.stop);
  const facts: Fact[] = [];
  const moves: string[] = [];
  broker.daemon.journal.subscribe(({ fact }) => {
    facts.push(fact);
    if (fact.type === 'target') moves.push(`${targetName(fact.target)} ${fact.from}>${fact.to}`);
  });
  await untilAllUp(broker);
  const named = <T>(map: ReadonlyMap<string, T>, name: string): T => {
    const found = map.get(name);
    if (found === undefined) throw new Error(`the room has no ${name}`);
    return found;
  };
  const residencyOf = (name: string): Residency | undefined => {
    for (const consumer of broker.daemon.broker.snapshot().consumers) {
      for (const target of consumer.targets) if (targetName(target.target) === name) return target.residency;
    }
    return undefined;
  };
  return {
    card,
    broker,
    service: (name) => named(services, name),
    tenant: (name) => named(tenants, name),
    post: (name, path = '/run') => broker.call(`/consumers/${name}${path}`, { method: 'POST', body: 'x' }),
    act: (action, target) => {
      const [name, ...model] = target.split('/');
      const query = model.length === 0 ? '' : `?model=${encodeURIComponent(model.join('/'))}`;
      return broker.call(`/v1/consumers/${name}/${action}${query}`, { method: 'POST' });
    },
    status: async () => JSON.parse((await broker.call('/v1/status')).text),
    moves,
    facts,
    untilResidency: async (name, residency) => {
      const isThere = () => residencyOf(name) === residency;
      while (!isThere()) await broker.until((fact) => fact.type === 'target', isThere);
    },
  };
}
