/**
 * What the client programs may do to the services behind the broker, over HTTP: break the stand-ins that chat
 * (`POST /break/FAULT`, `/break/none`), make a process fail (`/suffer/NAME/FAULT`), kill it and start it again
 * (`/kill/NAME`, `/start/NAME`). Answers when it is done and the broker has seen it.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FAULTS } from '../../src/demo/services/service.js';
import type { Daemon } from '../../src/main.js';
import type { Services } from './services.js';

const SEEN_WITHIN_MS = 60_000;

/** Until the broker calls it (or every service, where `name` is null) so. */
export async function untilHealth(daemon: Daemon, name: string | null, health: 'up' | 'down'): Promise<void> {
  const isSo = () =>
    daemon.broker.snapshot().consumers.every((consumer) => {
      return (name !== null && consumer.id !== name) || consumer.health === health;
    });
  const signal = AbortSignal.timeout(SEEN_WITHIN_MS);
  while (!isSo()) {
    await new Promise<void>((resolve, reject) => {
      const fail = () => {
        stop();
        reject(new Error(`${name ?? 'not every service'} was not seen ${health}`));
      };
      const stop = daemon.journal.subscribe(({ fact }) => {
        if (fact.type !== 'consumer') return;
        stop();
        signal.removeEventListener('abort', fail);
        resolve();
      });
      signal.addEventListener('abort', fail);
    });
  }
}

export async function startRemoteControl(
  daemon: Daemon,
  { breakable, mortals }: Services,
): Promise<{ readonly url: string; close(): void }> {
  async function order([what, name = '', fault = '']: readonly string[]): Promise<void> {
    if (what === 'break') {
      for (const service of breakable) {
        service.faultPaths = /completions|\/api\/chat/;
        service.fault = FAULTS.find((known) => known === name) ?? null;
      }
      return;
    }
    const mortal = mortals.get(name);
    if (mortal === undefined) throw new Error(`there is no ${name}`);
    if (what === 'suffer') return mortal.suffer(fault);
    if (what === 'kill') {
      await mortal.kill();
      return untilHealth(daemon, name, 'down');
    }
    await mortal.start();
    await untilHealth(daemon, name, 'up');
  }

  const server = createServer((req, res) => {
    order((req.url ?? '').split('/').slice(1)).then(
      () => res.end(),
      (error: unknown) => res.writeHead(500).end(String(error)),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => void server.close() };
}
