import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConfigProblem, Configuration } from '../../src/config/configuration.js';
import { diffConfiguration } from '../../src/config/diff.js';
import { createReloadable } from '../../src/control/reload.js';
import { BrokerError } from '../../src/errors.js';
import { sampleConfiguration } from '../support/sample-configuration.js';
import { SilentLog } from '../support/silent-log.js';

const problem = (line: number): ConfigProblem => ({
  file: 'consumers.yaml',
  line,
  column: 3,
  keyPath: 'gpu.headrom',
  message: 'unknown key',
});

type Outcome = Awaited<ReturnType<NonNullable<Parameters<typeof createReloadable>[0]['load']>>>;
const good = (configuration: Configuration, warnings: ConfigProblem[] = []): Outcome => ({
  good: true,
  configuration,
  warnings,
});

function holding(initial: Configuration, outcomes: Outcome[]) {
  const log = new SilentLog();
  const applied: Configuration[] = [];
  let wallMs = 1000;
  const port = createReloadable({
    initial,
    log,
    compare: diffConfiguration,
    apply: (configuration) => applied.push(configuration),
    wallNow: () => (wallMs += 1),
    load: async () => outcomes.shift() ?? assert.fail('read once too often'),
  });
  return { port, log, applied };
}

const before = sampleConfiguration();
const after = sampleConfiguration({ queue: { ...before.queue, max: 7 } });

test('a good change takes the place of the old as a whole, and the broker is told once', async () => {
  const { port, applied } = holding(before, [good(after)]);
  const loadedBefore = port.loadedAt();
  assert.deepEqual(await port.reload('me'), { changed: true, needsRestart: [] });
  assert.equal(port.current().queue.max, 7);
  assert.deepEqual(applied, [port.current()]);
  assert.ok(port.loadedAt() > loadedBefore);
});

test('a bad file changes nothing, and its positions are kept until it is mended', async () => {
  const { port, log, applied } = holding(before, [{ good: false, problems: [problem(3), problem(9)] }, good(before)]);
  await assert.rejects(port.reload('me'), (error: unknown) => {
    assert.ok(error instanceof BrokerError);
    assert.equal(error.code, 'bad_request');
    assert.match(error.message, /consumers\.yaml:3:3 gpu\.headrom: unknown key\nconsumers\.yaml:9:3/);
    return true;
  });
  assert.equal(port.current(), before);
  assert.deepEqual(applied, []);
  assert.match(port.error() ?? '', /:3:3 .*\n.*:9:3 /);
  assert.deepEqual(log.at('error'), ['configuration refused; the one in force stays']);
  assert.deepEqual(await port.reload('me'), { changed: false, needsRestart: [] });
  assert.equal(port.error(), null);
});

test('bind and state_dir wait for a restart, and every reload until then says so', async () => {
  const moved = sampleConfiguration({ bind: [{ host: '0.0.0.0', port: 8770 }], stateDir: '/elsewhere' });
  const { port } = holding(before, [good(moved), good(moved), good(before)]);
  assert.deepEqual(await port.reload('me'), { changed: true, needsRestart: ['bind', 'state_dir'] });
  assert.deepEqual(port.current().bind, before.bind);
  assert.equal(port.current().stateDir, before.stateDir);
  assert.deepEqual(await port.reload('me'), { changed: false, needsRestart: ['bind', 'state_dir'] });
  assert.deepEqual(await port.reload('me'), { changed: true, needsRestart: [] });
});

test('two reloads at once run one after another', async () => {
  const { port, applied } = holding(before, [good(after), good(before)]);
  const [first, second] = await Promise.all([port.reload('watcher'), port.reload('me')]);
  assert.deepEqual([first.changed, second.changed], [true, true]);
  assert.deepEqual(
    applied.map(({ queue }) => queue.max),
    [7, 500],
  );
});

test('keys without effect are warned of with their positions', async () => {
  const { port, log } = holding(before, [good(after, [problem(4)])]);
  await port.reload('me');
  assert.deepEqual(log.at('warn'), ['consumers.yaml:4:3 gpu.headrom: unknown key']);
});

test('without a file there is nothing to read again, and the answer says what to do', async () => {
  const port = createReloadable({
    initial: before,
    log: new SilentLog(),
    compare: diffConfiguration,
    apply: () => assert.fail('nothing to apply'),
    load: null,
  });
  await assert.rejects(port.reload('me'), /no configuration file.*--config FILE/);
});
