/** The demo as a whole: four processes, a configuration, a card, and nothing of it left afterwards. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { FOLDER_PREFIX } from '../../src/demo/fleet-messages.js';
import { type Demo, DemoError, type DemoOptions, type StartDaemon, startDemo } from '../../src/demo/main.js';
import { startListener } from '../support/demo-runner.js';
import { valueAt } from '../support/json-value.js';

const RUNNER = fileURLToPath(new URL('../support/demo-runner.js', import.meta.url));

const options = (more: Partial<DemoOptions> = {}): DemoOptions => ({
  host: '127.0.0.1',
  port: 0,
  speed: 50,
  policy: 'locked',
  env: process.env,
  startDaemon: startListener,
  print: () => {},
  ...more,
});

/** A process that has ended but that its parent has not yet asked about (state Z) is gone. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

/** A process closes its files some microseconds before it is gone; nobody but its parent is told of that. */
async function untilGone(pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + 2_000;
  while (pids.some(isAlive)) {
    assert.ok(performance.now() < deadline, `still there: ${pids.filter(isAlive).join(', ')}`);
    await sleep(5);
  }
}

function assertNothingLeft(demo: Pick<Demo, 'folder' | 'members'>): void {
  assert.deepEqual(
    demo.members.filter(({ pid }) => isAlive(pid)),
    [],
  );
  assert.equal(existsSync(demo.folder), false);
}

test('the daemon gets a configuration of all four and a PATH with the pretend nvidia-smi; then all is gone', async () => {
  let given: Parameters<StartDaemon>[0] | null = null;
  let printed = '';
  const demo = await startDemo(
    options({
      startDaemon: (received) => {
        given = received;
        return startListener(received);
      },
      print: (text) => {
        printed += text;
      },
    }),
  );
  try {
    assert.ok(given !== null);
    const { configFile, env }: Parameters<StartDaemon>[0] = given;
    const configuration: unknown = parse(readFileSync(configFile, 'utf8'));
    assert.equal(valueAt(configuration, 'policy'), 'locked');
    for (const { name, url, pid } of demo.members) {
      assert.equal(valueAt(configuration, 'consumers', name, 'url'), url);
      assert.ok(isAlive(pid));
      assert.notEqual(pid, process.pid);
      assert.equal((await fetch(name === 'comfyui' ? `${url}/prompt` : url)).status, name === 'mvoice' ? 404 : 200);
    }
    assert.ok(printed.startsWith(`The page: ${demo.url}/ui/\n`), "the page's address comes first");
    const apps = await new Promise((resolve) => {
      execFile(
        'nvidia-smi',
        ['--query-compute-apps=process_name,used_memory', '--format=csv,noheader,nounits'],
        { env },
        (_, stdout) => resolve(stdout),
      );
    });
    assert.equal(apps, 'whisper-server, 2200\n');
  } finally {
    await demo.stop();
  }
  assertNothingLeft(demo);
});

test('a service that is killed is told about, and the others go on', async () => {
  const told: string[] = [];
  let tell = (): void => {};
  const heard = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const demo = await startDemo(
    options({
      print: (text) => {
        told.push(text);
        if (told.length === 2) tell();
      },
    }),
  );
  try {
    const ollama = demo.members.find(({ name }) => name === 'ollama');
    assert.ok(ollama !== undefined);
    process.kill(ollama.pid, 'SIGKILL');
    await heard;
    assert.match(told[1] ?? '', /ollama ended \(SIGKILL\)/);
    const mvoice = demo.members.find(({ name }) => name === 'mvoice');
    assert.equal((await fetch(`${mvoice?.url}/health`)).status, 200);
  } finally {
    await demo.stop();
  }
  assertNothingLeft(demo);
});

test('a busy port is told with what to do, before anything is started', async () => {
  const squatter = createServer();
  squatter.listen(0, '127.0.0.1');
  await once(squatter, 'listening');
  const address = squatter.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  let started = false;
  const starting = startDemo(
    options({
      port,
      startDaemon: (received) => {
        started = true;
        return startListener(received);
      },
    }),
  );
  await assert.rejects(starting, (error) => {
    assert.ok(error instanceof DemoError);
    assert.match(error.message, new RegExp(`Port ${port} on 127.0.0.1 is in use.*--port ${port + 1}`));
    return true;
  });
  assert.equal(started, false);
  squatter.close();
});

test('a daemon that does not start leaves no service and no folder', async () => {
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith(FOLDER_PREFIX));
  let folder = '';
  const starting = startDemo(
    options({
      startDaemon: async ({ configFile }) => {
        folder = join(configFile, '..');
        throw new Error('no');
      },
    }),
  );
  await assert.rejects(starting, /^Error: no$/);
  assert.notEqual(folder, '');
  assert.equal(existsSync(folder), false);
  assert.ok(before.every((name) => join(tmpdir(), name) !== folder));
});

/** Starts the command in a process of its own and reads what it says until all services are named. */
async function runCommand() {
  const child = spawn(process.execPath, [RUNNER, 'run', '--port', '0', '--speed', '50'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // The services inherit this pipe: it ends when the last of them is gone.
  const allGone = once(child.stderr.resume(), 'close');
  let text = '';
  child.stdout.setEncoding('utf8');
  while (!text.includes('Ctrl-C ends everything')) text += String((await once(child.stdout, 'data'))[0]);
  child.stdout.resume();
  const pids = [...text.matchAll(/\(process (\d+)\)/g)].map(([, pid]) => Number(pid));
  assert.equal(pids.length, 4);
  const folder = /-d @(\S+)\/picture\.json/.exec(text)?.[1] ?? '';
  assert.ok(existsSync(folder));
  return { child, allGone, pids, folder };
}

for (const [signal, exit] of [
  ['SIGINT', [0, null]],
  ['SIGTERM', [0, null]],
  ['SIGKILL', [null, 'SIGKILL']],
] as const) {
  test(`after ${signal} to the command no process and no folder is left`, async () => {
    const { child, allGone, pids, folder } = await runCommand();
    const exited = once(child, 'exit');
    child.kill(signal);
    assert.deepEqual(await exited, exit);
    await allGone;
    await untilGone(pids);
    assert.equal(existsSync(folder), false);
  });
}

test('Ctrl-C reaches all processes of the terminal at once, and once more through npm: still an orderly end', async () => {
  const { child, allGone, pids, folder } = await runCommand();
  const exited = once(child, 'exit');
  for (const pid of pids) process.kill(pid, 'SIGINT');
  child.kill('SIGINT');
  child.kill('SIGINT');
  assert.deepEqual(await exited, [0, null]);
  await allGone;
  assert.equal(existsSync(folder), false);
});
