import assert from 'node:assert/strict';
import { test } from 'node:test';
import { consumerId } from '../../src/core/vocabulary.js';
import { consumerAt, openProxy } from '../support/open-proxy.js';
import { plainAdapter } from '../support/plain-adapter.js';
import { sampleConfiguration } from '../support/sample-configuration.js';
import { openStandIn } from '../support/stand-in.js';
import { call, exchangeRaw, openSocket } from '../support/wire.js';

const errorOf = (text: string) => JSON.parse(text).error;

test('a capability nobody serves: no_route names those that are served', async (t) => {
  const id = consumerId('service');
  const { port } = await openProxy(t, consumerAt('http://127.0.0.1:1'), { routes: { llm: id, stt: id } });
  const { status, text } = await call(port, '/v1/tts', { method: 'POST', body: '{}' });
  assert.deepEqual([status, errorOf(text).code], [404, 'no_route']);
  assert.match(errorOf(text).message, /stt \(service\), llm \(service\).*routes\.tts/);
});

test('an unknown consumer: 404 with the nearest name', async (t) => {
  const { port } = await openProxy(t, consumerAt('http://127.0.0.1:1'));
  for (const path of ['/consumers/servise/x', '/consumers/servise']) {
    const { status, text } = await call(port, path);
    assert.deepEqual([status, errorOf(text).code], [404, 'unknown_consumer']);
    assert.match(errorOf(text).message, /did you mean "service"\?/);
  }
});

test("below a consumer's prefix path and query go on byte for byte", async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('ok'));
  const { port } = await openProxy(t, consumerAt(`${service.url}/base`));
  for (const target of ['/a%2Fb/%E2%82%AC//c/?q=%41&&x', '/', '/?a=1']) {
    await exchangeRaw(port, `GET /consumers/service${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    assert.equal(service.calls.at(-1)?.req.url, `/base${target}`);
  }
  const { status, headers } = await call(port, '/consumers/service?x=1');
  assert.deepEqual([status, headers.location], [308, '/consumers/service/?x=1']);
});

test('passes need no grant while a job holds the card; other methods are jobs', async (t) => {
  const service = await openStandIn(t);
  const { port, job } = await openProxy(t, consumerAt(service.url));
  const holder = call(port, '/v1/llm', { method: 'POST', body: '{}' });
  const held = await service.next();
  await job('queued');
  const pass = call(port, '/consumers/service/files/up', { method: 'POST', body: 'bytes' });
  const passed = await service.next();
  assert.equal(String(await passed.body), 'bytes');
  passed.res.end('stored');
  const { text, headers } = await pass;
  assert.deepEqual([text, headers['x-mgpu-job'], headers['x-mgpu-consumer']], ['stored', undefined, 'service']);
  const waiter = call(port, '/consumers/service/generate', { method: 'PUT', body: '{}' });
  const queued = await job('queued');
  assert.deepEqual([queued.capability, queued.consumer, queued.client], [null, 'service', '127.0.0.1']);
  held.res.end('ok');
  await holder;
  (await service.next()).res.end('made');
  assert.equal((await waiter).text, 'made');
});

test('what changes a consumer for everybody needs operator rights, and says how to get them', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('done'));
  const { access } = sampleConfiguration();
  const { port } = await openProxy(t, consumerAt(service.url), { access: { ...access, operators: ['10.9.9.9/32'] } });
  const asked = { method: 'POST', body: '{}', headers: { 'X-Forwarded-For': '10.1.2.3' } };
  const refused = await call(port, '/consumers/service/admin/delete', asked);
  assert.equal(refused.status, 403);
  assert.equal(refused.headers['x-mgpu-error'], 'forbidden');
  assert.match(refused.text, /10\.1\.2\.3 has none.*access\.operators: \[\.\.\., \\"10\.1\.2\.3\/32\\"\]/);
  assert.equal(service.calls.length, 0);
  const allowed = await call(port, '/consumers/service/admin/delete', {
    ...asked,
    headers: { 'X-Forwarded-For': '10.9.9.9' },
  });
  assert.equal(allowed.text, 'done');
});

test("errors below a consumer's prefix have the shape of its own", async (t) => {
  const { port, setHealth } = await openProxy(t, consumerAt('http://127.0.0.1:1'));
  setHealth('service', 'bad', 'connection refused at 127.0.0.1:1');
  for (const method of ['POST', 'GET']) {
    const body = method === 'POST' ? { body: '{}' } : {};
    const { status, text, headers } = await call(port, '/consumers/service/x', { method, ...body });
    assert.deepEqual([status, headers['x-mgpu-error'], headers['retry-after']], [503, 'consumer_down', '5']);
    assert.match(JSON.parse(text).error, /^service is down: connection refused at 127\.0\.0\.1:1/);
  }
});

test('a consumer that is down is refused at once, while another one works', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('ok'));
  const { port, setHealth, job } = await openProxy(t, consumerAt(service.url));
  setHealth('service', 'bad', 'connection refused');
  const askedAt = performance.now();
  const { status, text } = await call(port, '/v1/llm', { method: 'POST', body: '{}' });
  assert.deepEqual([status, errorOf(text).code, errorOf(text).consumer], [503, 'consumer_down', 'service']);
  assert.ok(performance.now() - askedAt < 500);
  assert.equal(errorOf(text).job, (await job('ended')).id);
  setHealth('service', 'good');
  assert.equal((await call(port, '/v1/llm', { method: 'POST', body: '{}' })).status, 200);
});

test('/audio/ goes to audio_proxy with Range, HEAD and no grant, and says so when there is none', async (t) => {
  const service = await openStandIn(t, ({ req, res }) => {
    if (req.headers.range === 'bytes=0-3') res.writeHead(206, { 'Content-Range': 'bytes 0-3/9' }).end('RIFF');
    else res.writeHead(200, { 'Content-Length': 9 }).end(req.method === 'HEAD' ? undefined : 'RIFF-more');
  });
  const consumer = consumerAt(service.url);
  const { port, configuration } = await openProxy(t, consumer, { audioProxy: consumer.id });
  const part = await call(port, '/audio/a%20b.wav?x=1', { headers: { Range: 'bytes=0-3' } });
  assert.deepEqual([part.status, part.headers['content-range'], part.text], [206, 'bytes 0-3/9', 'RIFF']);
  assert.equal(service.calls[0]?.req.url, '/audio/a%20b.wav?x=1');
  const head = await call(port, '/audio/x.wav', { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers['content-length'], head.text], [200, '9', '']);
  configuration.held = { ...configuration.held, audioProxy: null };
  const none = await call(port, '/audio/x.wav');
  assert.deepEqual([none.status, errorOf(none.text).code], [404, 'no_route']);
});

test('a request may lower its class, not raise it, and must know the words', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('ok'));
  const { port, job } = await openProxy(t, consumerAt(service.url, { class: 'normal' }));
  const ask = (jobClass: string) =>
    call(port, '/v1/llm', { method: 'POST', body: '{}', headers: { 'X-MGPU-Class': jobClass } });
  await ask('batch');
  assert.equal((await job('announced')).class, 'batch');
  await ask('interactive');
  assert.equal((await job('announced')).class, 'normal');
  const { status, text } = await ask('urgent');
  assert.deepEqual([status, errorOf(text).code, errorOf(text).param], [400, 'bad_request', 'X-MGPU-Class']);
});

test('a model may have a class of its own, which holds from when its name is known', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('ok'));
  const none = { vramResidentMib: null, vramRunMib: null, pin: false };
  const models = new Map([
    ['night', { ...none, class: 'batch' as const }],
    ['quick', { ...none, class: 'interactive' as const }],
    ['plain', { ...none, class: null }],
  ]);
  const adapter = plainAdapter({
    need: async (request) => ({ model: request.query.slice('?model='.length), usesCard: true }),
  });
  const { port, job } = await openProxy(t, consumerAt(service.url, { class: 'normal', models }), { adapter });
  const classes = async (model: string, headers: Record<string, string> = {}): Promise<string[]> => {
    await call(port, `/v1/llm?model=${model}`, { method: 'POST', body: '{}', headers });
    return [(await job('announced')).class, (await job('queued')).class];
  };
  assert.deepEqual(await classes('night'), ['normal', 'batch']);
  assert.deepEqual(await classes('quick'), ['normal', 'interactive']);
  assert.deepEqual(await classes('plain'), ['normal', 'normal']);
  assert.deepEqual(await classes('unheard'), ['normal', 'normal']);
  assert.deepEqual(await classes('quick', { 'X-MGPU-Class': 'batch' }), ['batch', 'batch']);
  assert.deepEqual(await classes('night', { 'X-MGPU-Class': 'interactive' }), ['normal', 'batch']);
});

test('a full queue is refused from the headers and says that it is overloaded', async (t) => {
  const service = await openStandIn(t);
  const { queue } = sampleConfiguration();
  const { port } = await openProxy(t, consumerAt(service.url), { queue: { ...queue, max: 1 } });
  const holder = call(port, '/v1/llm', { method: 'POST', body: '{}' });
  const held = await service.next();
  const waiter = await openSocket(port);
  waiter.write('POST /v1/llm HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n');
  let answer = '';
  // The waiter is taken in once a second one is refused.
  do {
    answer = await exchangeRaw(
      port,
      'POST /v1/llm HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 900\r\n\r\n',
    );
  } while (!answer.startsWith('HTTP/1.1 429'));
  assert.match(answer, /overloaded/);
  waiter.destroy();
  held.res.end('ok');
  await holder;
});

test('a consumer removed by a reload: its waiting jobs end, its running job finishes', async (t) => {
  const service = await openStandIn(t);
  const adapter = plainAdapter();
  const { port, loop, job } = await openProxy(t, consumerAt(service.url), { adapter });
  const holder = call(port, '/v1/llm', { method: 'POST', body: '{}' });
  const held = await service.next();
  await job('queued');
  const waiter = call(port, '/v1/llm', { method: 'POST', body: '{}' });
  await job('queued');
  const queueTimeoutMs = { interactive: null, normal: null, batch: null };
  loop.post({
    type: 'ConfigApplied',
    settings: {
      ...{ policy: 'locked', queueMax: 9, queueTimeoutMs, consumers: new Map() },
      ...{ noRoomMs: 0, reserveMib: 0, totalMib: null },
    },
  });
  const { status, text } = await waiter;
  assert.deepEqual([status, errorOf(text).code], [503, 'consumer_removed']);
  held.res.end('to the end');
  assert.equal((await holder).text, 'to the end');
});
