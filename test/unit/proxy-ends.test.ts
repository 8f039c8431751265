import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobId } from '../../src/core/vocabulary.js';
import { consumerAt, type OpenProxy, openProxy } from '../support/open-proxy.js';
import { namingAdapter, plainAdapter } from '../support/plain-adapter.js';
import { openStandIn } from '../support/stand-in.js';
import { call, exchangeRaw, openSocket } from '../support/wire.js';

const post = (more = '', version = '1.1'): string =>
  `POST /v1/llm HTTP/${version}\r\nHost: localhost\r\nContent-Length: 2\r\n${more}\r\n{}`;
const codeIn = (text: string): string => JSON.parse(text.slice(text.indexOf('{'))).error.code;

for (const [limit, limits, behaviour] of [
  ['first_byte', { firstByteMs: 60 }, 'silent'],
  ['run', { runMs: 60 }, 'silent'],
  ['idle', { idleMs: 60 }, 'half'],
  ['run', { runMs: 60 }, 'half'],
] as const) {
  test(`timeouts.${limit} ends a job whose consumer is ${behaviour}, in its own words, and gives the card back`, async (t) => {
    const service = await openStandIn(t, ({ res }) => void (behaviour === 'half' && res.write('half')));
    const adapter = plainAdapter();
    const { port, job } = await openProxy(t, consumerAt(service.url, { limits }), { adapter });
    const text = await exchangeRaw(port, post('Connection: close\r\n'));
    if (behaviour === 'silent') {
      assert.match(text, new RegExp(`^HTTP/1\\.1 504 .*timeouts\\.${limit} \\(60ms\\)`, 's'));
      assert.equal(codeIn(text), 'consumer_timeout');
    } else {
      assert.match(text, /4\r\nhalf\r\n$/);
    }
    const { outcome } = await job('ended');
    assert.deepEqual([outcome?.end, outcome?.code], ['timed_out', 'consumer_timeout']);
    assert.match(outcome?.message ?? '', new RegExp(`timeouts\\.${limit} `));
    const [seen] = service.calls;
    assert.deepEqual(await seen?.closed, { complete: false });
    await job('work_over');
    assert.deepEqual(adapter.broken, [null]);
  });
}

test('a limit of its own is the only one: an answer may be late within it', async (t) => {
  const service = await openStandIn(t);
  const { port } = await openProxy(t, consumerAt(service.url, { limits: { idleMs: 20, connectMs: 20 } }));
  const answer = call(port, '/v1/llm', { method: 'POST', body: '{}' });
  const { res } = await service.next();
  // Longer than every limit that does not count before the first byte.
  await new Promise((resolve) => setTimeout(resolve, 150));
  res.end('late');
  assert.equal((await answer).text, 'late');
});

test('a service that accepts no connection ends in timeouts.connect, and holds the card no longer', async (t) => {
  // TEST-NET-1 (RFC 5737) leads nowhere: packets to it are dropped or refused.
  const { port, job } = await openProxy(t, consumerAt('http://192.0.2.1:9', { limits: { connectMs: 60 } }));
  const { status, text } = await call(port, '/v1/llm', { method: 'POST', body: '{}' });
  assert.ok(status === 504 || status === 502, text);
  await job('work_over');
});

const cancel = (proxy: OpenProxy, job: JobId): void =>
  proxy.loop.post({ type: 'OperatorAsked', action: { kind: 'cancel', job }, by: 'test' });

test('a job the operator cancels: 410 before its answer began, a broken connection after', async (t) => {
  const service = await openStandIn(t);
  const proxy = await openProxy(t, consumerAt(service.url));
  const early = call(proxy.port, '/v1/llm', { method: 'POST', body: '{}' });
  const first = await service.next();
  cancel(proxy, (await proxy.job('granted')).id);
  const { status, text } = await early;
  assert.deepEqual([status, codeIn(text)], [410, 'cancelled_by_operator']);
  assert.deepEqual(await first.closed, { complete: false });
  const late = exchangeRaw(proxy.port, post());
  (await service.next()).res.write('some');
  const { id } = await proxy.job('granted');
  await proxy.job('work_over');
  while (proxy.loop.snapshot().job(id)?.firstByteAt === null) await new Promise((resolve) => setImmediate(resolve));
  cancel(proxy, id);
  assert.match(await late, /4\r\nsome\r\n$/);
});

test('a waiting job that is cancelled gets its 410 and never reached its consumer', async (t) => {
  const service = await openStandIn(t);
  const proxy = await openProxy(t, consumerAt(service.url));
  const holder = call(proxy.port, '/v1/llm', { method: 'POST', body: 'holder' });
  const held = await service.next();
  await proxy.job('queued');
  const waiter = call(proxy.port, '/v1/llm', { method: 'POST', body: 'waiter' });
  cancel(proxy, (await proxy.job('queued')).id);
  assert.equal((await waiter).status, 410);
  held.res.end('ok');
  assert.equal((await holder).status, 200);
  assert.equal(service.calls.length, 1);
});

test('work that goes on behind its answer keeps the job running; the client may leave', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('id:w1'));
  const { adapter, verdicts } = namingAdapter();
  const proxy = await openProxy(t, consumerAt(service.url), { adapter });
  assert.equal((await call(proxy.port, '/v1/image', { method: 'POST', body: '{}' })).text, 'id:w1');
  const { id } = await proxy.job('answered');
  assert.equal(proxy.loop.snapshot().job(id)?.state, 'running');
  verdicts[0]?.({ end: 'done' });
  assert.equal((await proxy.job('ended')).outcome?.end, 'done');
  await proxy.job('work_over');
  await call(proxy.port, '/v1/image', { method: 'POST', body: '{}' });
  verdicts[1]?.({ end: 'lost', message: 'gone from queue and history' });
  assert.deepEqual((await proxy.job('ended')).outcome, {
    ...{ end: 'failed', code: 'consumer_failed', message: 'gone from queue and history' },
  });
  assert.deepEqual(adapter.broken, []);
});

test('work that is cancelled behind its answer is cancelled by its name', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('id:w2'));
  const { adapter, aborted, verdicts } = namingAdapter();
  const proxy = await openProxy(t, consumerAt(service.url), { adapter });
  await call(proxy.port, '/v1/image', { method: 'POST', body: '{}' });
  cancel(proxy, (await proxy.job('answered')).id);
  await proxy.job('work_over');
  assert.deepEqual([adapter.broken, aborted()], [['w2'], 1]);
  verdicts[0]?.({ end: 'done' });
});

test('the queue.timeout of a waiting job is answered with 504', async (t) => {
  const service = await openStandIn(t);
  const queue = { max: 10, timeoutMs: { interactive: 50, normal: null, batch: null }, noRoomMs: 1 };
  const proxy = await openProxy(t, consumerAt(service.url), { queue });
  const socket = await openSocket(proxy.port);
  socket.write(post());
  await service.next();
  const answer = await exchangeRaw(proxy.port, post('Connection: close\r\n'));
  assert.match(answer, /^HTTP\/1\.1 504 /);
  assert.equal(codeIn(answer), 'queue_timeout');
  socket.destroy();
});
