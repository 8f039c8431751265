/** Jobs that take long, in virtual time: nothing of ours gives up before the configured limits. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mock, type TestContext, test } from 'node:test';
import { KINDS } from '../../src/adapters/registry.js';
import { newBrokerState } from '../../src/core/state.js';
import { consumerId, type MonotonicMs } from '../../src/core/vocabulary.js';
import { createOpenAi } from '../../src/openai/openai.js';
import { createProxy } from '../../src/proxy/proxy.js';
import { createExecutor } from '../../src/runtime/executor.js';
import { Journal } from '../../src/runtime/journal.js';
import { Loop } from '../../src/runtime/loop.js';
import { settingsOf } from '../../src/runtime/settings.js';
import { openDoor } from '../support/open-door.js';
import { noMachine } from '../support/open-proxy.js';
import { HeldConfiguration, sampleConfiguration, sampleConsumer } from '../support/sample-configuration.js';
import { SilentLog } from '../support/silent-log.js';
import { type Call, openStandIn } from '../support/stand-in.js';
import { call, openSocket } from '../support/wire.js';

const MINUTE_MS = 60_000;

/** `pass` lets time go by, for timers and for the clock of the parts; sockets live in real time. */
async function openVirtual(t: TestContext) {
  const service = await openStandIn(t);
  const id = consumerId('llama');
  const consumer = sampleConsumer('llama', { kind: 'openai', url: service.url, drainMs: 10 });
  const configuration = new HeldConfiguration(
    sampleConfiguration({ consumers: new Map([[id, consumer]]), routes: { llm: id } }),
  );
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  t.after(() => mock.timers.reset());
  let now = 0;
  const clock = { now: (): MonotonicMs => now, wallOf: (at: MonotonicMs) => at };
  const log = new SilentLog();
  const settings = settingsOf(configuration.current(), (kind) => KINDS[kind].powers);
  const loop = new Loop(newBrokerState(settings, 0), clock);
  const proxy = createProxy({ broker: loop, configuration, adapters: KINDS, clock, log });
  const journal = new Journal(log);
  loop.start(createExecutor({ broker: loop, jobs: proxy.jobs, journal, ...noMachine(loop) }));
  const healthy = () => loop.post({ type: 'ProbeEnded', consumer: id, result: 'good', error: null, startedAt: now });
  healthy();
  const openai = createOpenAi({ door: proxy.door, broker: loop, journal, configuration, adapters: KINDS, clock, log });
  const door = await openDoor(t, [...openai.routes, ...proxy.routes], { configuration });
  t.after(() => {
    openai.close();
    proxy.close();
    loop.close();
  });
  const pass = (minutes: number) => {
    for (const endAt = now + minutes * MINUTE_MS; now < endAt; ) {
      now += 1000;
      mock.timers.tick(1000);
    }
  };
  const queued = () =>
    new Promise<void>((resolve) => {
      const stop = journal.subscribe(({ fact }) => {
        if (fact.type !== 'job' || fact.change !== 'queued') return;
        stop();
        resolve();
      });
    });
  const ask = (more: object = {}) =>
    call(door.port, '/v1/chat/completions', { method: 'POST', body: JSON.stringify({ model: 'llama/m', ...more }) });
  return { service, pass, ask, queued, port: door.port };
}

const WHOLE = '{"choices":[{"index":0,"message":{"content":"late"},"finish_reason":"stop"}]}';
const answer = ({ res }: Call) => res.writeHead(200, { 'content-type': 'application/json' }).end(WHOLE);

test('a job of twenty minutes without a byte is answered whole', async (t) => {
  const { service, pass, ask } = await openVirtual(t);
  const asked = ask();
  const job = await service.next();
  pass(20);
  answer(job);
  const { status, text } = await asked;
  assert.deepEqual([status, text], [200, WHOLE]);
});

test('one that outlasts timeouts.run is told so, and at that time', async (t) => {
  const { service, pass, ask } = await openVirtual(t);
  const asked = ask();
  await service.next();
  pass(59.9);
  const early = await Promise.race([asked, new Promise<'open'>((resolve) => setImmediate(() => resolve('open')))]);
  assert.equal(early, 'open');
  pass(0.2);
  const { status, text } = await asked;
  assert.deepEqual([status, JSON.parse(text).error.code], [504, 'consumer_timeout']);
});

test('one that waits for almost nine minutes in the queue is answered all the same', async (t) => {
  const { service, pass, ask, queued } = await openVirtual(t);
  const first = ask();
  const running = await service.next();
  const waits = queued();
  const later = ask();
  await waits;
  pass(8.9);
  answer(running);
  await first;
  answer(await service.next());
  assert.equal((await later).status, 200);
});

test('a stream whose job waits hears of it before 25 s, and then every 15 s', { timeout: 30_000 }, async (t) => {
  const { service, pass, ask, queued, port } = await openVirtual(t);
  const first = ask();
  const running = await service.next();
  const waits = queued();
  const socket = await openSocket(port);
  const body = '{"model":"llama/m","stream":true}';
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await waits;
  let heard = '';
  for (const [seconds, comments] of [
    [24, 1],
    [15, 2],
    [15, 3],
    [15, 4],
  ] as const) {
    pass(seconds / 60);
    while ((heard.match(/^: /gm) ?? []).length < comments) heard += String((await once(socket, 'data'))[0]);
  }
  assert.match(heard, /^HTTP\/1\.1 200 OK\r\n/);
  socket.destroy();
  answer(running);
  await first;
});
