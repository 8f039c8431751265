/**
 * `make deploy` over real ssh and rsync to another account under a real systemd user manager, and the unit's life
 * there. The steps build on one another, as they do for somebody who uses it.
 */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from '../support/free-port.js';
import { openStandIn } from '../support/stand-in.js';
import { ask, eventually } from './programs.js';
import { openReleaseTree, type ReleaseTree } from './release-tree.js';
import { openScratchAccount, type ScratchAccount } from './scratch-account.js';

const UNIT = 'mgpumanager.service';
const UNIT_FILE = `.config/systemd/user/${UNIT}`;
const CONFIG_FILE = '.config/mgpumanager/consumers.yaml';

/** Exits when it is to serve, as a release with a bug at its start does. */
const EXITS = `if (process.argv[2] === 'serve') { console.error('broken on purpose'); process.exit(1); }`;

/** Says READY and listens, but has no health. */
const unwell = (port: number): string => `if (process.argv[2] === 'serve') {
  const { createServer } = await import('node:http');
  const { execFileSync } = await import('node:child_process');
  createServer((_, answer) => { answer.statusCode = 503; answer.end('unwell on purpose'); }).listen(${port}, '127.0.0.1');
  execFileSync('systemd-notify', ['--ready']);
  await new Promise(() => {});
}`;

/** The new release cannot read a configuration that the old one could. */
const REFUSES = `if (process.argv[2] === 'check') { console.error('consumers.yaml:1:1 bind: refused on purpose'); process.exit(1); }`;

let account: ScratchAccount;
let tree: ReleaseTree;
let url: string;
let port: number;

const inHome = (path: string): string => join(account.home, path);
const current = (): string => readlinkSync(inHome('.local/share/mgpumanager/current'));
const releases = (): string[] => readdirSync(inHome('.local/share/mgpumanager/releases'));
const processId = (): Promise<string> => account.property(UNIT, 'MainPID');
const healthy = async (): Promise<true | undefined> =>
  (await ask(`${url}/healthz`)).status === 200 ? true : undefined;

/** Sends the signal; measured from then to the first good answer, which can only be another process's. */
async function backAfter(signal: string, limitMs: number): Promise<number> {
  const old = await processId();
  assert.equal((await account.run('kill', signal, old)).status, 0);
  const from = performance.now();
  await eventually('it answers again', limitMs, healthy);
  const tookMs = performance.now() - from;
  assert.notEqual(await processId(), old);
  return tookMs;
}

/** The first user's file in small: one consumer, which the test plays. */
const configuration = (consumerUrl: string): string => `# Shipped.
bind: 127.0.0.1:${port}
gpu: { source: none }
routes: { llm: small }
consumers:
  small: { kind: http, url: "${consumerUrl}", paths: { llm: /work } }
`;

before(async () => {
  account = await openScratchAccount();
  port = await freePort();
  url = `http://127.0.0.1:${port}`;
});

after(() => {
  tree?.remove();
  account?.remove();
});

test('deployment', { timeout: 900_000 }, async (t) => {
  const standIn = await openStandIn(t, ({ req, res }) => {
    if (req.method === 'GET') res.end('here');
  });
  tree = openReleaseTree(configuration(standIn.url));

  await t.test('a host whose Node.js is too old is refused with the remedy, and nothing is put there', async () => {
    account.write(
      'old/node',
      '#!/bin/sh\ncase $1 in --version) echo v18.20.0 ;; -p) echo "node=$0" ;; *) exit 1 ;; esac\n',
    );
    await account.run('chmod', '755', inHome('old/node'));
    appendFileSync(inHome('.profile'), '\nPATH=$HOME/old:$PATH\n');
    const outcome = await tree.make('deploy', account);
    assert.notEqual(outcome.status, 0);
    assert.match(outcome.stderr, /Node\.js 20\.19 or newer is needed on this host; found: v18\.20\.0/);
    assert.match(outcome.stderr, /nvm install/);
    assert.equal(existsSync(inHome('.local/share/mgpumanager')), false);
  });

  await t.test(
    'a Node.js that only interactive shells know (nvm) is found; the unit is active and answers',
    async () => {
      // Debian's .bashrc returns at its beginning unless the shell is interactive; nvm adds its lines at the end.
      appendFileSync(inHome('.bashrc'), `\nPATH=${join(process.execPath, '..')}:$PATH\n`);
      appendFileSync(inHome('.profile'), '\n. ~/.bashrc\n');
      const outcome = await tree.make('deploy', account);
      assert.equal(outcome.status, 0, `${outcome.stdout}\n${outcome.stderr}`);
      assert.match(outcome.stdout, /Copied the shipped configuration/);
      assert.match(outcome.stdout, /loginctl enable-linger mgpu-test-/);
      assert.equal(readFileSync(inHome(CONFIG_FILE), 'utf8'), configuration(standIn.url));
      assert.equal(await account.property(UNIT, 'ActiveState'), 'active');
      assert.equal(await account.property(UNIT, 'UnitFileState'), 'enabled');
      assert.ok((await account.property(UNIT, 'ExecStart')).includes(`path=${process.execPath} `));
      assert.equal((await ask(`${url}/healthz`)).status, 200);
    },
  );

  await t.test('the unit passes systemd-analyze verify', async () => {
    const verify = ['--user', '--recursive-errors=yes', 'verify', inHome(UNIT_FILE)];
    const outcome = await account.run('systemd-analyze', ...verify);
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.equal(outcome.stderr.trim(), '');
  });

  await t.test('the page is there', async () => {
    const { status, text } = await ask(`${url}/ui/`);
    assert.equal(status, 200);
    assert.match(text, /<script/);
  });

  await t.test('a job goes through to a consumer and back', async () => {
    const [answer, call] = await Promise.all([
      ask(`${url}/v1/llm`, { method: 'POST', body: '{"say":"hello"}' }),
      nextJob(),
    ]);
    assert.equal(call, '{"say":"hello"}');
    assert.deepEqual(answer, { status: 200, text: 'hello back' });
  });

  /** Answers the next job; returns its body. */
  async function nextJob(): Promise<string> {
    for (;;) {
      const { req, res, body } = await standIn.next();
      if (req.method !== 'POST') continue;
      const text = (await body).toString();
      res.end('hello back');
      return text;
    }
  }

  await t.test(
    'deployed again, nothing changes: same release, same process, the edited configuration is kept',
    async () => {
      appendFileSync(inHome(CONFIG_FILE), '# Edited on the host.\n');
      const edited = readFileSync(inHome(CONFIG_FILE), 'utf8');
      const [release, pid] = [current(), await processId()];
      const outcome = await tree.make('deploy', account);
      assert.equal(outcome.status, 0, `${outcome.stdout}\n${outcome.stderr}`);
      assert.match(outcome.stdout, /nothing to change/);
      assert.equal(readFileSync(inHome(CONFIG_FILE), 'utf8'), edited);
      assert.deepEqual([current(), await processId()], [release, pid]);
      assert.equal(await account.property(UNIT, 'ActiveState'), 'active');
    },
  );

  await t.test('the command on the host asks the daemon there', async () => {
    const outcome = await account.run(inHome('.local/bin/mgpu'), 'status');
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.match(outcome.stdout, /ready/);
  });

  await t.test('after kill -9 it is back within 5 s', async (t) => {
    const tookMs = await backAfter('-KILL', 5_000);
    t.diagnostic(`back after ${Math.round(tookMs)} ms`);
  });

  await t.test('a daemon that stands still is ended by the watchdog and started again', async (t) => {
    account.write(`${UNIT_FILE}.d/90-test.conf`, '[Service]\nWatchdogSec=3\n');
    await account.run('systemctl', '--user', 'daemon-reload');
    await account.run('systemctl', '--user', 'restart', UNIT);
    const tookMs = await backAfter('-STOP', 30_000);
    t.diagnostic(`back after ${Math.round(tookMs)} ms, with WatchdogSec=3`);
    assert.equal(await account.property(UNIT, 'NRestarts'), '1');
    await account.run('rm', inHome(`${UNIT_FILE}.d/90-test.conf`));
    await account.run('systemctl', '--user', 'daemon-reload');
    await account.run('systemctl', '--user', 'restart', UNIT);
  });

  await t.test(
    'stopped with an open stream, it refuses newcomers, lets the stream finish and leaves nothing',
    async () => {
      const streaming = fetch(`${url}/v1/llm`, { method: 'POST', body: '{}' });
      let call = await standIn.next();
      while (call.req.method !== 'POST') call = await standIn.next();
      call.res.write('first, ');
      const answer = await streaming;
      const stopping = account.run('systemctl', '--user', 'stop', UNIT);
      await eventually('newcomers are refused', 20_000, async () => {
        const newcomer = await ask(`${url}/v1/llm`, { method: 'POST', body: '{}' });
        return newcomer.status === 503 && newcomer.text.includes('draining') ? true : undefined;
      });
      call.res.end('last');
      assert.equal(await answer.text(), 'first, last');
      assert.equal((await stopping).status, 0);
      assert.equal(await account.property(UNIT, 'Result'), 'success');
      await assert.rejects(ask(`${url}/healthz`));
      await account.run('systemctl', '--user', 'start', UNIT);
    },
  );

  await t.test('a new release takes over; the three that were used last are kept; rollback goes one back', async () => {
    const first = current();
    for (const number of [2, 3, 4]) {
      tree.reset();
      tree.change(`// release ${number}`);
      const outcome = await tree.deployAsItIs(account);
      assert.equal(outcome.status, 0, `${outcome.stdout}\n${outcome.stderr}`);
    }
    assert.notEqual(current(), first);
    assert.equal(releases().length, 3);
    const fourth = current();
    const outcome = await tree.make('rollback', account);
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.notEqual(current(), fourth);
    assert.equal(await healthy(), true);
  });

  const faults: [string, () => string][] = [
    ['exits at its start', () => EXITS],
    ['runs but has no health', () => unwell(port)],
  ];
  for (const [fault, code] of faults) {
    await t.test(`a release that ${fault} is rolled back, with its log lines shown`, async () => {
      const before = current();
      tree.reset();
      tree.change(code());
      const outcome = await tree.deployAsItIs(account);
      assert.notEqual(outcome.status, 0);
      assert.match(outcome.stdout + outcome.stderr, /on purpose/);
      assert.match(outcome.stderr, /rolled back to \S+, which is healthy/);
      assert.equal(current(), before);
      assert.equal(await healthy(), true);
    });
  }

  await t.test('a release that refuses the configuration of the host is not started', async () => {
    const [release, pid] = [current(), await processId()];
    tree.reset();
    tree.change(REFUSES);
    const outcome = await tree.deployAsItIs(account);
    assert.notEqual(outcome.status, 0);
    assert.match(outcome.stderr, /refused on purpose/);
    assert.match(outcome.stderr, /nothing was changed/);
    assert.deepEqual([current(), await processId()], [release, pid]);
  });

  await t.test('taken away again, the configuration stays', async () => {
    const outcome = await tree.make('undeploy', account);
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.equal(existsSync(inHome('.local/share/mgpumanager')), false);
    assert.equal(existsSync(inHome(UNIT_FILE)), false);
    assert.equal(existsSync(inHome(CONFIG_FILE)), true);
    await assert.rejects(ask(`${url}/healthz`));
  });

  await t.test('a first release without health is stopped, and says so', async () => {
    tree.reset();
    tree.change(EXITS);
    const outcome = await tree.deployAsItIs(account);
    assert.notEqual(outcome.status, 0);
    assert.match(outcome.stderr, /no earlier one to go back to/);
    assert.equal(await account.property(UNIT, 'ActiveState'), 'inactive');
    assert.equal(await account.property(UNIT, 'UnitFileState'), 'disabled');
  });
});
