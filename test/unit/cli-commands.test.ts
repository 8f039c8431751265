/** The client commands that do something, where they ask, and the exit codes. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runMgpu, startMgpu } from '../support/mgpu-process.js';
import { openControl } from '../support/open-control.js';
import { openStandIn } from '../support/stand-in.js';
import { sampleJob } from '../support/still-broker.js';

const at = (port: number): NodeJS.ProcessEnv => ({ MGPU_URL: `http://127.0.0.1:${port}` });
const CANCELLED = { end: 'cancelled', code: 'cancelled_by_operator', message: 'cancelled' } as const;

test('cancel: 0 when the job was cancelled, 1 when it had ended or nobody knows it', async (t) => {
  const { port, broker, journal } = await openControl(t);
  const ended = (outcome: typeof CANCELLED | { end: 'done'; code: null; message: null }, id: string) =>
    journal.record(9, { type: 'job', change: 'ended', job: sampleJob(id, { state: 'ended', endedAt: 9, outcome }) });
  broker.jobs = [sampleJob('j_1')];
  broker.onPost = () => ended(CANCELLED, 'j_1');
  const good = await runMgpu(t, ['cancel', 'j_1'], at(port));
  assert.deepEqual([good.code, good.stdout], [0, 'cancelled j_1\n']);
  ended({ end: 'done', code: null, message: null }, 'j_2');
  const late = await runMgpu(t, ['cancel', 'j_2'], at(port));
  assert.deepEqual([late.code, late.stderr], [1, 'j_2 was not cancelled: it has ended already (done)\n']);
  const unknown = await runMgpu(t, ['cancel', 'j_3'], at(port));
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /^no job j_3/);
});

test('drain and resume say the state the daemon is in then', async (t) => {
  const { port, broker } = await openControl(t);
  broker.jobs = [sampleJob('j_1')];
  broker.onPost = (event) => {
    const drains = event.type === 'OperatorAsked' && event.action.kind === 'drain';
    broker.state = { state: drains ? 'draining' : 'ready' };
  };
  const drained = await runMgpu(t, ['drain'], at(port));
  assert.deepEqual(
    [drained.code, drained.stdout],
    [0, 'draining: 0 jobs run, 1 waits; `mgpu resume` lets new jobs in again\n'],
  );
  const resumed = await runMgpu(t, ['resume'], at(port));
  assert.deepEqual([resumed.code, resumed.stdout], [0, 'ready: 0 jobs run, 1 waits\n']);
});

test('reload: what needs a restart is said; a refused file is 1 with every problem', async (t) => {
  const { port, configuration } = await openControl(t);
  const good = await runMgpu(t, ['reload'], at(port));
  assert.equal(good.code, 0);
  assert.equal(good.stdout, 'the configuration was read again and is in force; a restart is needed for bind\n');
  const { BrokerError } = await import('../../src/errors.js');
  configuration.reload = () => Promise.reject(new BrokerError('bad_request', 'refused:\nx:1:1 a\nx:2:1 b'));
  const bad = await runMgpu(t, ['reload'], at(port));
  assert.deepEqual([bad.code, bad.stderr], [1, 'refused:\nx:1:1 a\nx:2:1 b\n']);
});

test('nobody there: 3, with the address, where it is from, and how to start one', async (t) => {
  for (const command of [['status'], ['why', 'j_1'], ['events'], ['cancel', 'j_1'], ['drain']]) {
    const { code, stdout, stderr } = await runMgpu(t, [...command, '--url', 'http://127.0.0.1:1']);
    assert.equal(code, 3, command.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, /^http:\/\/127\.0\.0\.1:1 cannot be reached: nobody listens there\n.*--url.*\n.*`mgpu serve`/);
  }
});

test('somebody else there: 3', async (t) => {
  const { url } = await openStandIn(t, ({ res }) => res.end('<html>'));
  const { code, stderr } = await runMgpu(t, ['status', '--url', url]);
  assert.equal(code, 3);
  assert.match(stderr, /what answers there is not mGPUmanager/);
});

test('wrong usage: 2', async (t) => {
  const wrong = [[], ['statsu'], ['why'], ['status', '--nonsense'], ['status', '--url', 'ftp://x'], ['status', 'more']];
  for (const args of wrong) assert.equal((await runMgpu(t, args)).code, 2, args.join(' '));
  assert.match((await runMgpu(t, ['statsu'])).stderr, /Did you mean status/);
});

test('help and version are good answers', async (t) => {
  assert.equal((await runMgpu(t, ['--help'])).code, 0);
  assert.equal((await runMgpu(t, ['why', '--help'])).code, 0);
  const { code, stdout } = await runMgpu(t, ['--version']);
  assert.equal(code, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test('the address: --url before $MGPU_URL before bind of the file, whatever else is wrong with the file', async (t) => {
  const { port } = await openControl(t);
  const folder = await mkdtemp(join(tmpdir(), 'mgpu-cli-'));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'mgpumanager'));
  const file = join(folder, 'mgpumanager', 'consumers.yaml');
  await writeFile(file, `bind: ["0.0.0.0:\${PORT}", "[::1]:1"]\nconsumers: 7\n`);
  const env = { XDG_CONFIG_HOME: folder, PORT: String(port) };
  assert.equal((await runMgpu(t, ['status'], env)).code, 0);
  const named = await runMgpu(t, ['status'], { ...env, MGPU_URL: 'http://127.0.0.1:2' });
  assert.match(named.stderr, /^http:\/\/127\.0\.0\.1:2 cannot[\s\S]*from \$MGPU_URL/);
  const given = await runMgpu(t, ['status', '--url', 'http://127.0.0.1:1/'], {
    ...env,
    MGPU_URL: 'http://127.0.0.1:2',
  });
  assert.match(given.stderr, /^http:\/\/127\.0\.0\.1:1 cannot[\s\S]*from --url/);
  const gone = await runMgpu(t, ['status'], { ...env, PORT: '1' });
  assert.match(gone.stderr, /^http:\/\/127\.0\.0\.1:1 cannot[\s\S]*from bind in .*consumers\.yaml/);
});

test('a reader that has seen enough ends events quietly', async (t) => {
  const { port, journal } = await openControl(t);
  const events = startMgpu(t, ['events'], at(port));
  const timer = setInterval(() => journal.record(2000, { type: 'operator', action: 'drain', by: '10.0.0.1' }), 5);
  t.after(() => clearInterval(timer));
  await events.until(/drain/);
  events.child.stdout?.destroy();
  assert.equal(await events.end, 0);
  assert.equal(events.stderr(), '');
});
