/** A real server on a port of its own for the length of one test. */
import type { TestContext } from 'node:test';
import type { Route } from '../../src/server/exchange.js';
import { createServer, type DoorServer, type ServerOptions } from '../../src/server/server.js';
import { HeldConfiguration } from './sample-configuration.js';
import { SilentLog } from './silent-log.js';

export interface OpenDoor {
  readonly port: number;
  readonly log: SilentLog;
  readonly configuration: HeldConfiguration;
  readonly server: DoorServer;
}

export async function openDoor(
  t: TestContext,
  routes: readonly Route[],
  options: Partial<Omit<ServerOptions, 'configuration' | 'routes'>> & { configuration?: HeldConfiguration } = {},
): Promise<OpenDoor> {
  const log = new SilentLog();
  const configuration = options.configuration ?? new HeldConfiguration();
  const server = createServer({ log, ...options, configuration, routes });
  const [address] = await server.listen();
  t.after(() => server.close(0));
  return { port: address?.port ?? 0, log, configuration, server };
}
