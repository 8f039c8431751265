/**
 * A consumer that can only leave by its unit, under a real systemd user manager: stopped for somebody else, known as
 * parked by a daemon that was killed meanwhile, started again when it is needed. And whose a GPU process is: of a user
 * unit, of another account's service, of a container. The card is a script that counts what lives.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { freePort } from '../support/free-port.js';
import { ask, eventually, ROOT } from './programs.js';
import { openScratchAccount, type ScratchAccount } from './scratch-account.js';

const DAEMON = 'mgpu-under-test.service';

/** Holds its memory from its start (`at-start`) or from its first job on, until it is asked to unload or ends. */
const CONSUMER = `import { createServer } from 'node:http';
import { rmSync, writeFileSync } from 'node:fs';
const [, , name, port, mib, when] = process.argv;
const file = process.env.HOME + '/gpu/' + name;
const load = () => writeFileSync(file, process.pid + ' ' + mib + '\\n');
if (when === 'at-start') load();
createServer((req, res) => {
  if (req.url === '/unload') rmSync(file, { force: true });
  else if (req.method === 'POST') load();
  res.end(name + ' answers');
}).listen(Number(port), '127.0.0.1');
`;

const SMI = `#!/bin/sh
used=0; list=
for file in "$HOME"/gpu/*; do
  [ -e "$file" ] || continue
  read -r pid mib < "$file"
  [ -d "/proc/$pid" ] || continue
  grep -q '^State:.Z' "/proc/$pid/status" && continue
  used=$((used + mib)); list="$list
GPU-1, $pid, $mib, python3"
done
case "$*" in
  *query-gpu*) echo "0, GPU-1, 24000, $used, $((24000 - used)), 0, 0, 40, 50.0, pretend card" ;;
  *compute-apps*) echo "$list" ;;
  *) exit 2 ;;
esac
`;

let account: ScratchAccount;
let url: string;
const outsiders: ChildProcess[] = [];
const cgroups: string[] = [];

interface Consumer {
  readonly residency: string;
  readonly health: string;
  readonly gpu_resident_mib: number | null;
  readonly gpu_resident_source: string | null;
}

async function consumers(): Promise<Record<string, Consumer>> {
  const { text } = await ask(`${url}/v1/status`);
  return (JSON.parse(text) as { consumers: Record<string, Consumer> }).consumers;
}

async function startDaemon(): Promise<void> {
  await account.run('systemctl', '--user', 'reset-failed', DAEMON);
  const main = join(ROOT, 'dist/src/cli/main.js');
  const path = `PATH=${account.home}/bin:/usr/local/bin:/usr/bin:/bin`;
  const words = [process.execPath, main, 'serve', '--config', `${account.home}/c.yaml`];
  const { status, stderr } = await account.run(
    'systemd-run',
    '--user',
    `--unit=${DAEMON}`,
    `--setenv=${path}`,
    ...words,
  );
  assert.equal(status, 0, stderr);
  await eventually('big and small are seen', 30_000, async () => {
    const known = await consumers().catch(() => null);
    return known !== null && known.small?.health === 'up' && known.big?.health !== undefined ? true : undefined;
  });
}

const isActive = async (unit: string): Promise<string> =>
  (await account.run('systemctl', '--user', 'is-active', unit)).stdout.trim();

/** A process of root in a control group of its own, as a system service or a container has. */
function startOutsider(name: string, mib: number): void {
  const unified = existsSync('/sys/fs/cgroup/unified') ? '/sys/fs/cgroup/unified' : '/sys/fs/cgroup';
  const cgroup = join(unified, `mgpu-test-${process.pid}-${name}`);
  const own = join(cgroup, name);
  mkdirSync(own, { recursive: true });
  cgroups.push(own, cgroup);
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  outsiders.push(child);
  writeFileSync(join(own, 'cgroup.procs'), String(child.pid));
  account.write(`gpu/${name}`, `${child.pid} ${mib}\n`);
}

before(async () => {
  account = await openScratchAccount();
  const [port, big, small] = [await freePort(), await freePort(), await freePort()];
  url = `http://127.0.0.1:${port}`;
  account.write('consumer.mjs', CONSUMER);
  account.write('gpu/.keep', '');
  account.write('bin/nvidia-smi', SMI);
  chmodSync(join(account.home, 'bin/nvidia-smi'), 0o755);
  const unit = (words: string) => `[Service]\nExecStart=${process.execPath} %h/consumer.mjs ${words}\n`;
  account.write('.config/systemd/user/big.service', unit(`big ${big} 15000 at-start`));
  account.write('.config/systemd/user/small.service', unit(`small ${small} 9000 by-job`));
  account.write(
    'c.yaml',
    stringify({
      bind: `127.0.0.1:${port}`,
      health: { interval: '500ms', timeout: '2s' },
      gpu: { interval: '500ms' },
      state_dir: `${account.home}/state`,
      consumers: {
        big: {
          ...{ kind: 'whisper-server', url: `http://127.0.0.1:${big}`, unit: 'big.service' },
          ...{ vram_resident_mib: 15_000, vram_run_mib: 500 },
        },
        small: {
          ...{ url: `http://127.0.0.1:${small}`, unload: 'POST /unload', unit: 'small.service' },
          ...{ vram_resident_mib: 9000, vram_run_mib: 500 },
        },
        other: { url: `http://127.0.0.1:${await freePort()}`, processes: { cgroup: 'other\\.service' } },
        boxed: { url: `http://127.0.0.1:${await freePort()}`, processes: { cgroup: 'docker-0f3a\\.scope' } },
      },
    }),
  );
  await account.run('systemctl', '--user', 'daemon-reload');
  await account.run('systemctl', '--user', 'start', 'big.service', 'small.service');
  startOutsider('other.service', 300);
  startOutsider('docker-0f3a.scope', 200);
  await startDaemon();
});

after(async () => {
  for (const child of outsiders) {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
  account.remove();
  for (const cgroup of cgroups) rmdirSync(cgroup);
});

test('parking', { timeout: 240_000 }, async (t) => {
  const post = async (name: string): Promise<string> => {
    const answer = await fetch(`${url}/consumers/${name}/inference`, { method: 'POST', body: 'x' });
    return `${answer.status} ${await answer.text()}`;
  };

  await t.test('GPU processes of a user unit, of another account and of a container are attributed', async () => {
    await eventually('all are attributed', 20_000, async () => {
      const { big, other, boxed } = await consumers();
      const held = [big, other, boxed].map((one) => one?.gpu_resident_mib);
      return held.join() === '15000,300,200' ? true : undefined;
    });
    assert.equal((await consumers()).big?.gpu_resident_source, 'measured');
  });

  await t.test('who can only leave by its unit is stopped for somebody else, and shown as parked', async () => {
    assert.equal(await post('big'), '200 big answers');
    assert.equal(await post('small'), '200 small answers');
    assert.equal(await isActive('big.service'), 'inactive');
    const { big } = await consumers();
    assert.deepEqual([big?.residency, big?.health], ['parked', 'unknown']);
  });

  await t.test('a daemon that was killed still knows whom it parked', async () => {
    await account.run('systemctl', '--user', 'kill', '--signal=SIGKILL', DAEMON);
    await eventually('it is gone', 20_000, async () => ((await isActive(DAEMON)) === 'active' ? undefined : true));
    await startDaemon();
    assert.equal((await consumers()).big?.residency, 'parked');
    assert.equal(await isActive('big.service'), 'inactive');
  });

  await t.test('asked again, it is started and answers', async () => {
    assert.equal(await post('big'), '200 big answers');
    assert.equal(await isActive('big.service'), 'active');
    assert.equal((await consumers()).big?.residency, 'resident');
  });
});
