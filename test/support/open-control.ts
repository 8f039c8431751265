/** The whole control plane behind a real server, in front of a broker that stands still. */
import type { TestContext } from 'node:test';
import { createControl } from '../../src/control/control.js';
import { Journal } from '../../src/runtime/journal.js';
import { openDoor } from './open-door.js';
import { HeldConfiguration } from './sample-configuration.js';
import { SilentLog } from './silent-log.js';
import { StillBroker } from './still-broker.js';

export interface OpenControl {
  readonly port: number;
  readonly broker: StillBroker;
  readonly journal: Journal;
  readonly log: SilentLog;
  readonly configuration: HeldConfiguration;
}

export async function openControl(t: TestContext): Promise<OpenControl> {
  const log = new SilentLog();
  const broker = new StillBroker();
  const journal = new Journal(log);
  const configuration = new HeldConfiguration();
  const clock = broker.clock;
  const control = createControl({ broker, journal, configuration, clock, log, version: '0.1.0', startedAt: 1000 });
  const { port } = await openDoor(t, control.routes, { configuration, log });
  t.after(() => control.close());
  return { port, broker, journal, log, configuration };
}
