import assert from 'node:assert/strict';
import { test } from 'node:test';
import { consumerAt, openProxy } from '../support/open-proxy.js';
import { namingAdapter, plainAdapter } from '../support/plain-adapter.js';
import { openStandIn } from '../support/stand-in.js';
import { call, leaveWhen, openSocket, readUntil } from '../support/wire.js';

const post = (more = '', version = '1.1'): string =>
  `POST /v1/llm HTTP/${version}\r\nHost: localhost\r\nContent-Length: 2\r\n${more}\r\n{}`;

/** What is promised. A loaded machine may stall one round, so the median has to keep it. */
const PROMISED_MS = 250;

for (const moment of ['before the first byte', 'in mid-answer'] as const) {
  test(`a client that leaves ${moment}: the consumer is broken off within 250 ms, 20 times`, async (t) => {
    const service = await openStandIn(t, ({ res }) => void (moment === 'in mid-answer' && res.write('some')));
    const proxy = await openProxy(t, consumerAt(service.url));
    const took: number[] = [];
    for (let round = 0; round < 20; round++) {
      const call = service.next();
      await leaveWhen(proxy.port, post(), async (socket) => {
        await call;
        if (moment === 'in mid-answer') await readUntil(socket, (text) => text.includes('some'));
      });
      const leftAt = performance.now();
      assert.deepEqual(await (await call).closed, { complete: false });
      took.push(performance.now() - leftAt);
      assert.equal((await proxy.job('ended')).outcome?.code, 'cancelled');
      await proxy.job('work_over');
    }
    const median = took.sort((a, b) => a - b)[10] ?? Number.NaN;
    assert.ok(median < PROMISED_MS, `the median was ${median} ms`);
    const { consumers, inFlight, queueDepth } = proxy.loop.snapshot();
    assert.deepEqual([consumers[0]?.failedRequests, inFlight, queueDepth], [0, 0, 0]);
  });
}

test('a client that leaves while it waits never reaches the consumer, 20 times; the next in line is served', async (t) => {
  const service = await openStandIn(t);
  const proxy = await openProxy(t, consumerAt(service.url));
  const holder = call(proxy.port, '/v1/llm', { method: 'POST', body: 'holder' });
  const held = await service.next();
  await proxy.job('queued');
  for (let round = 0; round < 20; round++) {
    await leaveWhen(proxy.port, post(), () => proxy.job('queued'));
    assert.equal((await proxy.job('ended')).outcome?.end, 'cancelled');
  }
  const last = call(proxy.port, '/v1/llm', { method: 'POST', body: 'last' });
  await proxy.job('queued');
  held.res.end('ok');
  const served = await service.next();
  assert.equal(String(await served.body), 'last');
  served.res.end('ok');
  assert.deepEqual([(await holder).status, (await last).status, service.calls.length], [200, 200, 2]);
});

test('a client that leaves while its body comes frees its place, 20 times', async (t) => {
  const service = await openStandIn(t);
  const proxy = await openProxy(t, consumerAt(service.url));
  for (let round = 0; round < 20; round++) {
    await leaveWhen(proxy.port, 'POST /v1/llm HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\nhalf', () =>
      proxy.job('announced'),
    );
    assert.equal((await proxy.job('ended')).outcome?.code, 'cancelled');
  }
  assert.deepEqual([service.calls.length, proxy.proxy.held().memoryBytes], [0, 0]);
});

test('a client that waits quietly with its body sent is not taken for gone', async (t) => {
  const service = await openStandIn(t);
  const { port, job } = await openProxy(t, consumerAt(service.url));
  const answer = call(port, '/v1/llm', { method: 'POST', body: 'complete' });
  const { res, body } = await service.next();
  await body;
  await new Promise((resolve) => setTimeout(resolve, 100));
  res.end('at last');
  assert.equal((await answer).text, 'at last');
  assert.equal((await job('ended')).outcome?.end, 'done');
});

test('a pipelined request whose connection goes is cancelled too', async (t) => {
  const service = await openStandIn(t);
  const proxy = await openProxy(t, consumerAt(service.url));
  await leaveWhen(proxy.port, post() + post(), async () => {
    await proxy.job('queued');
    await proxy.job('queued');
    await service.next();
  });
  assert.deepEqual(
    [(await proxy.job('ended')).outcome?.code, (await proxy.job('ended')).outcome?.code],
    ['cancelled', 'cancelled'],
  );
});

test('a client that leaves a pass breaks its request off at the consumer', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.write('some'));
  const { port } = await openProxy(t, consumerAt(service.url));
  const socket = await openSocket(port);
  socket.write('GET /consumers/service/big HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await readUntil(socket, (text) => text.includes('some'));
  socket.destroy();
  assert.deepEqual(await service.calls[0]?.closed, { complete: false });
});

test('the grant stays out until the adapter says that the work is over', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.write('some'));
  let over: () => void = () => {};
  const adapter = plainAdapter({
    brokenOff: () =>
      new Promise((resolve) => {
        over = resolve;
      }),
  });
  const proxy = await openProxy(t, consumerAt(service.url), { adapter });
  await leaveWhen(proxy.port, post(), (socket) => readUntil(socket, (text) => text.includes('some')));
  await proxy.job('ended');
  await service.calls[0]?.closed;
  assert.equal(proxy.loop.snapshot().inFlight, 1);
  over();
  await proxy.job('work_over');
  assert.equal(proxy.loop.snapshot().inFlight, 0);
});

test('a client that leaves before the answer that names its work: the name is still learned', async (t) => {
  const service = await openStandIn(t);
  const { adapter } = namingAdapter();
  const proxy = await openProxy(t, consumerAt(service.url), { adapter });
  const next = service.next();
  await leaveWhen(proxy.port, post(), () => next);
  await proxy.job('ended');
  (await next).res.end('id:w3');
  await proxy.job('work_over');
  assert.deepEqual(adapter.broken, ['w3']);
});

test('where that answer does not come the consumer is broken off all the same', async (t) => {
  const service = await openStandIn(t);
  const { adapter } = namingAdapter();
  const proxy = await openProxy(t, consumerAt(service.url), { adapter });
  const next = service.next();
  await leaveWhen(proxy.port, post(), () => next);
  const leftAt = performance.now();
  assert.deepEqual(await (await next).closed, { complete: false });
  assert.ok(performance.now() - leftAt < 4 * PROMISED_MS);
  await proxy.job('work_over');
  assert.deepEqual(adapter.broken, [null]);
});
