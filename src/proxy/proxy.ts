/**
 * The proxy wing: what travels between clients and consumers. Put together here from its parts; `main.ts` gives the
 * routes to the server and the port to the executor.
 */
import { join } from 'node:path';
import type { Adapter } from '../adapters/adapter.js';
import type { KindName } from '../config/configuration.js';
import type { BrokerPort, Clock, ConfigurationPort, JobPort, Log } from '../runtime/ports.js';
import type { Route } from '../server/exchange.js';
import { createBudget } from './budget.js';
import { createPasses } from './passes.js';
import { createRoutes } from './routes.js';
import { createUpgrades } from './upgrade.js';
import { createUpstreams } from './upstream.js';
import { createWaitingRoom } from './waiting.js';

export interface ProxyOptions {
  readonly broker: BrokerPort;
  readonly configuration: ConfigurationPort;
  readonly adapters: Readonly<Record<KindName, Adapter>>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface ProxyWing {
  readonly routes: readonly Route[];
  readonly jobs: JobPort;
  /** What bodies and read-ahead hold now, in bytes. */
  held(): { readonly memoryBytes: number; readonly spoolBytes: number };
  /** After the door is closed: drops the connections to consumers, idle ones and those in use. */
  close(): void;
}

export function createProxy({ broker, configuration, adapters, clock, log }: ProxyOptions): ProxyWing {
  const memory = createBudget(() => configuration.current().limits.memoryBytes);
  const spool = createBudget(() => configuration.current().limits.spoolBytes);
  // `state_dir` needs a restart to change.
  const spoolFolder = join(configuration.current().stateDir, 'spool');
  const upstreams = createUpstreams();
  const shared = { broker, configuration, clock, log, upstreams, memory };
  const waiting = createWaitingRoom({ ...shared, spool, spoolFolder, spareAborts: [] });
  const routes = createRoutes({
    ...{ configuration, adapters, waiting },
    passes: createPasses(shared),
    upgrades: createUpgrades(shared),
  });
  return {
    routes,
    jobs: waiting.port,
    held: () => ({ memoryBytes: memory.usedBytes, spoolBytes: spool.usedBytes }),
    close: () => upstreams.close(),
  };
}
