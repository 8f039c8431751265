import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { KINDS } from '../../src/adapters/registry.js';
import { newBrokerState } from '../../src/core/state.js';
import { consumerId } from '../../src/core/vocabulary.js';
import { createOpenAi } from '../../src/openai/openai.js';
import { createProxy } from '../../src/proxy/proxy.js';
import { systemClock } from '../../src/runtime/clock.js';
import { createExecutor } from '../../src/runtime/executor.js';
import { Journal } from '../../src/runtime/journal.js';
import { Loop } from '../../src/runtime/loop.js';
import { settingsOf } from '../../src/runtime/settings.js';
import { openDoor } from '../support/open-door.js';
import { noMachine } from '../support/open-proxy.js';
import { HeldConfiguration, sampleConfiguration, sampleConsumer } from '../support/sample-configuration.js';
import { SilentLog } from '../support/silent-log.js';
import { type Call, openStandIn } from '../support/stand-in.js';
import { call, openSocket, readUntil } from '../support/wire.js';

/** One slow service behind the proxy and the OpenAI routes, whose waiting streams are spoken to after milliseconds. */
async function openWaiting(t: TestContext, manner: 'off' | 'comment' | 'reasoning', timesMs = { first: 30, next: 20 }) {
  const service = await openStandIn(t, ({ req, res }) => {
    if (req.method === 'GET') res.writeHead(req.url === '/v1/models' ? 200 : 404).end('{"data":[]}');
  });
  const id = consumerId('llama');
  const consumer = sampleConsumer('llama', { kind: 'openai', url: service.url, drainMs: 10, waiting: manner });
  const configuration = new HeldConfiguration(
    sampleConfiguration({ consumers: new Map([[id, consumer]]), routes: { llm: id } }),
  );
  const log = new SilentLog();
  const loop = new Loop(
    newBrokerState(
      settingsOf(configuration.current(), (kind) => KINDS[kind].powers),
      0,
    ),
    systemClock,
  );
  const proxy = createProxy({ broker: loop, configuration, adapters: KINDS, clock: systemClock, log });
  const journal = new Journal(log);
  loop.start(createExecutor({ broker: loop, jobs: proxy.jobs, journal, ...noMachine(loop) }));
  loop.post({ type: 'ProbeEnded', consumer: id, result: 'good', error: null, startedAt: systemClock.now() });
  const openai = createOpenAi({
    ...{ door: proxy.door, broker: loop, journal, configuration, adapters: KINDS, clock: systemClock, log, timesMs },
  });
  const door = await openDoor(t, [...openai.routes, ...proxy.routes], { configuration });
  t.after(() => {
    openai.close();
    proxy.close();
    loop.close();
  });
  const nextJob = async (): Promise<Call> => {
    for (;;) {
      const next = await service.next();
      if (next.req.method === 'POST') return next;
    }
  };
  return { port: door.port, service, nextJob, loop, journal };
}

const BODY = '{"model":"llama/m","stream":true}';
const REQUEST = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
const whole = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
const answer = ({ res }: Call) => res.writeHead(200, { 'content-type': 'text/event-stream' }).end(whole);
const post = (headers: Record<string, string> = {}, body = BODY) => ({ method: 'POST', body, headers });

test('a stream whose job waits is sent comments that say why, then its answer in the same stream', async (t) => {
  const { port, nextJob } = await openWaiting(t, 'comment');
  const holder = call(port, '/v1/chat/completions', post());
  const held = await nextJob();
  const socket = await openSocket(port);
  socket.write(REQUEST);
  const begun = await readUntil(socket, (text) => (text.match(/^: /gm) ?? []).length >= 2);
  assert.match(begun, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(begun, /X-Accel-Buffering: no/);
  assert.match(begun, /: place 1 in the queue: waiting for llama, which has had the card for \d+ s\n\n/);
  answer(held);
  await holder;
  const rest = readUntil(socket, (text) => text.includes('[DONE]'));
  answer(await nextJob());
  assert.match(await rest, /"finish_reason":"stop".*\n\ndata: \[DONE\]/s);
  socket.destroy();
});

test('what fails before the first comment keeps its status; what fails later is told in the stream, which is cut', async (t) => {
  const { port, nextJob } = await openWaiting(t, 'comment', { first: 40, next: 20 });
  const early = call(port, '/v1/chat/completions', post());
  (await nextJob()).res.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"bad"}');
  assert.equal((await early).status, 400);
  const socket = await openSocket(port);
  socket.write(REQUEST);
  const job = await nextJob();
  await readUntil(socket, (text) => text.includes(': the consumer has it'));
  const closed = new Promise<string>((resolve) => {
    let text = '';
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    socket.on('close', () => resolve(text));
  });
  job.res.writeHead(400, { 'content-type': 'application/json' }).end('{"error":{"message":"too long","code":400}}');
  const text = await closed;
  assert.match(text, /data: \{"error":\{"message":"too long".*"code":"400".*\}\}\n\n/);
  assert.ok(!text.includes('[DONE]') && !text.endsWith('0\r\n\r\n'));
});

test('a job that is refused while its stream is kept alive ends it with the reason', async (t) => {
  const { port, nextJob, loop } = await openWaiting(t, 'comment');
  const holder = call(port, '/v1/chat/completions', post());
  const held = await nextJob();
  const socket = await openSocket(port);
  socket.write(REQUEST);
  await readUntil(socket, (text) => text.includes('\n: '));
  const told = readUntil(socket, (text) => text.includes('}}\n\n'));
  const [waiting] = [...loop.snapshot().jobs()].filter(({ state }) => state === 'waiting');
  assert.ok(waiting);
  loop.post({ type: 'OperatorAsked', action: { kind: 'cancel', job: waiting.id }, by: 'a test' });
  assert.match(await told, /data: \{"error":\{.*"code":"cancelled_by_operator"/);
  answer(held);
  await holder;
});

test('reasoning: the wait is told as reasoning text, in chunks that every client takes', async (t) => {
  const { port, nextJob } = await openWaiting(t, 'reasoning');
  const holder = call(port, '/v1/chat/completions', post());
  const held = await nextJob();
  const socket = await openSocket(port);
  socket.write(REQUEST);
  const text = await readUntil(socket, (all) => all.includes('"finish_reason":null}]}\n\n'));
  const chunk = JSON.parse(/data: (\{.*\})\n\n/.exec(text)?.[1] ?? '');
  assert.deepEqual(
    [chunk.object, chunk.model, chunk.choices[0].index, chunk.choices[0].delta.content],
    ['chat.completion.chunk', 'llama/m', 0, ''],
  );
  assert.match(chunk.choices[0].delta.reasoning_content, /waiting for llama/);
  answer(held);
  await holder;
  answer(await nextJob());
  socket.destroy();
});

test('off, and what is not streamed: nothing before the answer', async (t) => {
  for (const [manner, body] of [
    ['off', BODY],
    ['comment', '{"model":"llama/m"}'],
  ] as const) {
    const { port, nextJob } = await openWaiting(t, manner, { first: 1, next: 1 });
    const asked = call(port, '/v1/chat/completions', post({}, body));
    const job = await nextJob();
    // As long as dozens of comments would take.
    await new Promise((resolve) => setTimeout(resolve, 40));
    job.res.writeHead(409, { 'content-type': 'application/json' }).end('{"error":"x"}');
    assert.equal((await asked).status, 409);
  }
});

test('a client that says how long it waits is told in that time, and its job is gone', async (t) => {
  const { port, nextJob, service, loop } = await openWaiting(t, 'comment', { first: 10_000, next: 10_000 });
  const holder = call(port, '/v1/chat/completions', post());
  const held = await nextJob();
  const { status, text } = await call(port, '/v1/chat/completions', post({ 'x-stainless-timeout': '0.2' }));
  assert.deepEqual([status, JSON.parse(text).error.code], [504, 'queue_timeout']);
  assert.equal(loop.snapshot().queueDepth, 0);
  answer(held);
  await holder;
  assert.equal(service.calls.filter(({ req }) => req.method === 'POST').length, 1);
});

test('three submissions of a client that gave up leave one job, and never run at once', async (t) => {
  const { port, nextJob, service, loop, journal } = await openWaiting(t, 'comment', { first: 10_000, next: 10_000 });
  const holder = call(port, '/v1/chat/completions', post());
  const held = await nextJob();
  const cancelled = () =>
    new Promise<void>((resolve) => {
      const stop = journal.subscribe(({ fact }) => {
        if (fact.type !== 'job' || fact.job.outcome?.end !== 'cancelled') return;
        stop();
        resolve();
      });
    });
  const queued = () =>
    new Promise<void>((resolve) => {
      const stop = journal.subscribe(({ fact }) => {
        if (fact.type !== 'job' || fact.change !== 'queued') return;
        stop();
        resolve();
      });
    });
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const socket = await openSocket(port);
    const waits = queued();
    socket.write(REQUEST);
    await waits;
    const gone = cancelled();
    socket.destroy();
    await gone;
  }
  const last = call(port, '/v1/chat/completions', post({ 'x-stainless-retry-count': '2' }));
  await queued();
  assert.equal(loop.snapshot().queueDepth, 1);
  answer(held);
  await holder;
  answer(await nextJob());
  assert.equal((await last).status, 200);
  assert.equal(service.calls.filter(({ req }) => req.method === 'POST').length, 2);
});
