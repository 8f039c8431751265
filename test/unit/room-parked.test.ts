/** The last rung: a unit is stopped, known as parked also after the daemon was killed, and started at the next need. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { openCard } from '../../src/demo/card.js';
import { createCard } from '../../src/demo/card-files.js';
import { startPlain } from '../../src/demo/services/plain.js';
import { installNvidiaSmi } from '../../src/demo/smi-script.js';
import { freePort } from '../support/free-port.js';
import { valueAt } from '../support/json-value.js';
import { startMgpu } from '../support/mgpu-process.js';
import { ROOM_TEST } from '../support/room.js';
import { call } from '../support/wire.js';

const PROGRAM = fileURLToPath(new URL('../support/unit-process.js', import.meta.url));

/** `start` and `stop` of one unit, which is a process of its own; every call is noted. */
const systemctl = (folder: string, port: number): string => `#!/bin/sh
cd '${folder}' || exit 99
echo "$*" >> asked
case "$2" in
  stop) kill -9 "$(cat pid)" ;;
  start) '${process.execPath}' '${PROGRAM}' ${port} '${folder}/card' >/dev/null 2>&1 & echo $! > pid ;;
esac
`;

/** A unit `stt.service` with 14,000 MiB, a service `llm` with as much, a card of 24,000, and a file for the daemon. */
async function openUnit(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'mgpu-unit-'));
  const port = await freePort();
  const bin = join(folder, 'bin');
  createCard(join(folder, 'card'), { index: 0, uuid: 'GPU-1', name: 'pretend', totalMib: 24_000, reservedMib: 0 });
  mkdirSync(bin);
  writeFileSync(join(bin, 'systemctl'), systemctl(folder, port));
  chmodSync(join(bin, 'systemctl'), 0o755);
  installNvidiaSmi(bin, join(folder, 'card'));
  const unit = (word: string) =>
    execFileSync(join(bin, 'systemctl'), ['--user', word, 'stt.service'], { stdio: 'ignore' });
  const llm = await startPlain({
    name: 'llm',
    residentMib: 14_000,
    runMib: 100,
    card: openCard(join(folder, 'card'), 'llm'),
  });
  t.after(async () => {
    await llm.close();
    try {
      unit('stop');
    } catch {
      // It does not run; that is what was wanted.
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  });
  unit('start');
  const daemonPort = await freePort();
  const file = join(folder, 'consumers.yaml');
  const sizes = { vram_resident_mib: 14_000, vram_run_mib: 100, health: '/health' };
  writeFileSync(
    file,
    stringify({
      bind: `127.0.0.1:${daemonPort}`,
      state_dir: join(folder, 'state'),
      gpu: { source: 'nvidia-smi', reserve_mib: 500 },
      health: { interval: '200ms', timeout: '10s' },
      consumers: {
        stt: { url: `http://127.0.0.1:${port}`, unit: 'stt.service', ...sizes },
        llm: { url: llm.url, unload: 'POST /unload', ...sizes },
      },
    }),
  );
  const env = { PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` };
  const asked = (): string[] => readFileSync(join(folder, 'asked'), 'utf8').trim().split('\n').slice(1);
  return { daemonPort, asked, serve: () => startMgpu(t, ['serve', '--config', file], env) };
}

const residencyOf = async (port: number): Promise<unknown> =>
  valueAt(JSON.parse((await call(port, '/v1/status')).text), 'consumers', 'stt', 'residency');

/** Of another process nothing tells us when it is ready. */
async function untilHealthy(port: number, names: readonly string[]): Promise<void> {
  for (;;) {
    const status: unknown = await call(port, '/v1/status').then(
      ({ text }) => JSON.parse(text),
      () => null,
    );
    if (names.every((name) => valueAt(status, 'consumers', name, 'health') === 'up')) return;
    await pause(50);
  }
}

test(
  'evicted by its unit, still known as parked after a kill of the daemon, and back at the next need',
  ROOM_TEST,
  async (t) => {
    const unit = await openUnit(t);
    const run = (name: string) => call(unit.daemonPort, `/consumers/${name}/run`, { method: 'POST', body: 'x' });
    const first = unit.serve();
    await untilHealthy(unit.daemonPort, ['stt', 'llm']);
    assert.equal((await run('stt')).status, 200);
    const swapped = await run('llm');
    assert.equal(swapped.status, 200, swapped.text);
    assert.equal(await residencyOf(unit.daemonPort), 'parked');
    assert.deepEqual(unit.asked(), ['--user stop stt.service']);

    first.child.kill('SIGKILL');
    await first.end;
    unit.serve();
    await untilHealthy(unit.daemonPort, ['llm']);
    assert.equal(await residencyOf(unit.daemonPort), 'parked');
    const back = await run('stt');
    assert.equal(back.status, 200, back.text);
    assert.deepEqual(unit.asked(), ['--user stop stt.service', '--user start stt.service']);
    while ((await residencyOf(unit.daemonPort)) !== 'resident') await pause(50);
  },
);
