/** What the service manager is told, through a `systemd-notify` of the test's own in PATH. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { createNotifier, type NotifyOptions } from '../../src/runtime/notify.js';
import { fakeManager } from '../support/fake-manager.js';
import { SilentLog } from '../support/silent-log.js';

function notifierWith(options: Pick<NotifyOptions, 'env'> & Partial<NotifyOptions>) {
  const log = new SilentLog();
  return { log, notifier: createNotifier({ log, healthy: () => true, ...options }) };
}

test('ready, status and stopping, one after another, a newer status in place of an older one', async (t) => {
  const manager = await fakeManager(t);
  const { notifier, log } = notifierWith({ env: manager.env });
  notifier.ready('listening\non 8770');
  notifier.status('one');
  notifier.status('two');
  notifier.stopping('three');
  await notifier.close();
  assert.deepEqual(manager.said(), ['READY=1|STATUS=listening on 8770', 'STATUS=three|STOPPING=1']);
  assert.deepEqual(log.lines, []);
});

test('where nobody waits for it, nothing is started', async (t) => {
  const manager = await fakeManager(t);
  const { notifier } = notifierWith({ env: { ...manager.env, NOTIFY_SOCKET: '', WATCHDOG_USEC: '2000' } });
  notifier.ready('x');
  await notifier.close();
  assert.deepEqual(manager.said(), []);
});

test('the watchdog is fed while the scheduler makes progress, and only then', async (t) => {
  const manager = await fakeManager(t);
  let healthy = true;
  let asked = 0;
  const asking = new EventEmitter();
  // The notifier's own timer keeps no process alive, and an end that does not come shall be told as such.
  const limit = setTimeout(() => asking.emit('error', new Error('health was not asked for')), 10_000);
  const { notifier, log } = notifierWith({
    env: { ...manager.env, WATCHDOG_USEC: '20000', WATCHDOG_PID: String(process.pid) },
    healthy() {
      if (!healthy) asked += 1;
      if (asked === 5) asking.emit('enough');
      return healthy;
    },
  });
  notifier.ready('x');
  await manager.until((said) => said.filter((call) => call === 'WATCHDOG=1').length >= 2);
  healthy = false;
  // The message that is on its way may still arrive.
  const before = manager.said().length + 2;
  await once(asking, 'enough');
  clearTimeout(limit);
  await notifier.close();
  assert.ok(manager.said().length <= before, manager.said().join('\n'));
  assert.equal(log.at('error').length, 1);
  assert.match(log.at('error')[0] ?? '', /watchdog is not fed/);
});

test('a watchdog for another process is not ours to feed', async (t) => {
  const manager = await fakeManager(t);
  let asked = false;
  const env = { ...manager.env, WATCHDOG_USEC: '2000', WATCHDOG_PID: String(process.pid + 1) };
  const { notifier } = notifierWith({
    env,
    healthy() {
      asked = true;
      return true;
    },
  });
  notifier.ready('x');
  notifier.status('y');
  await manager.until((said) => said.length === 2);
  await notifier.close();
  assert.equal(asked, false);
});

test('a missing systemd-notify is one line of the log, whatever is said afterwards', async () => {
  const { notifier, log } = notifierWith({ env: { PATH: '/nonexistent', NOTIFY_SOCKET: '/nowhere' } });
  notifier.ready('x');
  notifier.status('y');
  await notifier.close();
  notifier.status('z');
  await notifier.close();
  assert.equal(log.lines.length, 1);
  assert.match(log.at('warn')[0] ?? '', /systemd-notify cannot be started; install/);
});

test('one that hangs is killed in time; meanwhile no other one is started', async (t) => {
  const manager = await fakeManager(t, 'exec sleep 60');
  const { notifier, log } = notifierWith({ env: manager.env, messageMayTakeMs: 150 });
  notifier.ready('x');
  await manager.until((said) => said.length === 1);
  for (let round = 0; round < 20; round += 1) notifier.status(`status ${round}`);
  assert.equal(manager.said().length, 1);
  await notifier.close();
  assert.deepEqual(manager.said(), ['READY=1|STATUS=x', 'STATUS=status 19']);
  assert.equal(log.lines.length, 1, 'the same failure is told once');
});

test('a failure is told with what the tool said', async (t) => {
  const manager = await fakeManager(t, 'echo no such socket >&2; exit 1');
  const { notifier, log } = notifierWith({ env: manager.env });
  notifier.ready('x');
  await notifier.close();
  assert.match(JSON.stringify(log.lines), /systemd could not be told/);
  assert.match(JSON.stringify(log.lines), /no such socket/);
});
