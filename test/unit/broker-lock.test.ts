/** One lock for all consumers, seen from where it matters: by the consumers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { openBroker, untilAllUp } from '../support/open-broker.js';
import { type Call, openStandIn } from '../support/stand-in.js';

test('5 consumers, 100 concurrent jobs: the consumers never see two at once, and the totals are right', {
  timeout: 60_000,
}, async (t) => {
  let running = 0;
  let greatest = 0;
  const served: string[] = [];
  const work = async ({ req, res, body }: Call) => {
    if (req.method === 'GET') {
      res.end('ok');
      return;
    }
    running += 1;
    greatest = Math.max(greatest, running);
    const text = (await body).toString();
    // A few turns of the event loop are a long time for a second job to slip in.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    served.push(text);
    running -= 1;
    res.end(text);
  };
  const services = await Promise.all(Array.from({ length: 5 }, () => openStandIn(t, (each) => void work(each))));
  const consumers = Object.fromEntries(services.map(({ url }, index) => [`c${index}`, { url }]));
  const broker = await openBroker(t, { policy: 'locked', consumers });
  await untilAllUp(broker);

  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      broker.call(`/consumers/c${index % 5}/run`, { method: 'POST', body: `job ${index}` }),
    ),
  );
  assert.deepEqual(
    answers.map(({ status, text }) => `${status} ${text}`),
    Array.from({ length: 100 }, (_, index) => `200 job ${index}`),
  );
  assert.equal(greatest, 1);
  assert.equal(new Set(served).size, 100);
  const status = await broker.status();
  assert.equal(status.scheduler.total_jobs, 100);
  assert.equal(status.scheduler.queue_depth + status.scheduler.in_flight, 0);
  assert.deepEqual(
    Object.values(status.consumers).map((consumer) => consumer.total_requests),
    [20, 20, 20, 20, 20],
  );
});

test('a waiter that is cancelled, by its client or by an operator, never reached its consumer', {
  timeout: 60_000,
}, async (t) => {
  const service = await openStandIn(t, ({ req, res }) => {
    if (req.method === 'GET') res.end('ok');
  });
  const posts = () => service.calls.filter(({ req }) => req.method === 'POST');
  const broker = await openBroker(t, { policy: 'locked', consumers: { c: { url: service.url } } });
  await untilAllUp(broker);
  const holder = broker.call('/consumers/c/run', { method: 'POST', body: 'holder' });
  await broker.until(
    (fact) => fact.type === 'job' && fact.change === 'granted',
    () => broker.daemon.broker.snapshot().inFlight === 1,
  );

  const leaver = connect(broker.port, '127.0.0.1');
  leaver.write('POST /consumers/c/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nleaver');
  await broker.until((fact) => fact.type === 'job' && fact.change === 'queued');
  leaver.destroy();
  await broker.until((fact) => fact.type === 'job' && fact.change === 'ended');

  const waiting = broker.call('/consumers/c/run', { method: 'POST', body: 'waiting' });
  await broker.until((fact) => fact.type === 'job' && fact.change === 'queued');
  const { jobs } = await broker.status();
  const id = jobs.find((job) => job.state === 'waiting')?.id;
  assert.equal((await broker.call(`/v1/jobs/${id}`, { method: 'DELETE' })).status, 200);
  assert.equal((await waiting).status, 410);

  posts()[0]?.res.end('done');
  assert.equal((await holder).text, 'done');
  assert.equal(posts().length, 1);
  assert.equal((await broker.status()).scheduler.total_jobs, 3);
});

test('stopping with streams open: waiting jobs are refused, the running one is finished, then nobody is served', {
  timeout: 60_000,
}, async (t) => {
  const service = await openStandIn(t, ({ req, res }) => {
    if (req.method === 'GET') res.end('ok');
    else res.write('first ');
  });
  const broker = await openBroker(t, { policy: 'locked', consumers: { c: { url: service.url } } });
  await untilAllUp(broker);
  const running = broker.call('/consumers/c/run', { method: 'POST', body: 'x' });
  await broker.until(
    (fact) => fact.type === 'job' && fact.change === 'granted',
    () => broker.daemon.broker.snapshot().inFlight === 1,
  );
  const waiting = broker.call('/consumers/c/run', { method: 'POST', body: 'y' });
  await broker.until((fact) => fact.type === 'job' && fact.change === 'queued');
  const stopped = broker.stop();
  assert.deepEqual([(await waiting).status, JSON.parse((await waiting).text).error.code], [503, 'draining']);
  const late = await broker.call('/consumers/c/run', { method: 'POST', body: 'z' });
  assert.equal(late.status, 503);
  service.calls.find(({ req }) => req.method === 'POST')?.res.end('last');
  assert.equal((await running).text, 'first last');
  await stopped;
  const refused = connect(broker.port, '127.0.0.1');
  const [error] = await once(refused, 'error');
  assert.equal(error.code, 'ECONNREFUSED');
});
