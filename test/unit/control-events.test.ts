import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createEvents, type EventsOptions } from '../../src/control/events.js';
import type { Fact } from '../../src/core/facts.js';
import { consumerId } from '../../src/core/vocabulary.js';
import { Journal } from '../../src/runtime/journal.js';
import { openDoor } from '../support/open-door.js';
import { HeldConfiguration } from '../support/sample-configuration.js';
import { SilentLog } from '../support/silent-log.js';
import { HandClock, sampleJob } from '../support/still-broker.js';
import { call, openSocket, readUntil } from '../support/wire.js';

async function openEvents(t: TestContext, limits: Partial<EventsOptions> = {}) {
  const log = new SilentLog();
  const journal = new Journal(log);
  const configuration = new HeldConfiguration();
  const events = createEvents({ journal, configuration, clock: new HandClock(), log, ...limits });
  const { port } = await openDoor(t, events.routes, { configuration, log });
  t.after(() => events.close());
  return { port, journal, log, events };
}

async function connectReader(port: number): Promise<Socket> {
  const socket = await openSocket(port);
  socket.on('error', () => {});
  socket.write('GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await readUntil(socket, (text) => text.includes(': connected'));
  return socket;
}

/** Names and data of the events in a stream, chunk lines and comments left out. */
function parseEvents(text: string): { name: string; data: Record<string, unknown> }[] {
  const found = text.matchAll(/event: (\S+)\ndata: (.*)\n\n/g);
  return [...found].map(([, name = '', data = '']) => ({ name, data: JSON.parse(data) }));
}

const FACTS: Fact[] = [
  { type: 'job', change: 'queued', job: sampleJob('j_1') },
  { type: 'consumer', consumer: consumerId('mvoice'), health: 'down', error: 'connection refused' },
  { type: 'gpu', reading: null, error: 'nvidia-smi is not installed' },
  { type: 'config', consumersAdded: [consumerId('a')], consumersRemoved: [] },
  { type: 'operator', action: 'drain', by: '127.0.0.1' },
];

test('every fact goes out as an event of its name, in the tick it happened', async (t) => {
  const { port, journal } = await openEvents(t);
  const reader = await connectReader(port);
  const stream = readUntil(reader, (text) => text.includes('event: operator') && text.endsWith('\n\n\r\n'));
  for (const fact of FACTS) journal.record(2000, fact);
  const events = parseEvents(await stream);
  assert.deepEqual(
    events.map(({ name }) => name),
    ['job', 'consumer', 'gpu', 'config', 'operator'],
  );
  const [job, consumer, gpu, config, operator] = events.map(({ data }) => data);
  assert.equal(job?.change, 'queued');
  assert.ok(typeof job?.job === 'object' && job.job !== null && 'queued_at' in job.job && 'reasons' in job.job);
  const at = '2026-11-25T08:00:01.000Z';
  assert.deepEqual(consumer, { at, consumer: 'mvoice', health: 'down', health_error: 'connection refused' });
  assert.deepEqual(gpu, {
    at,
    gpu: { source: null, sampled_at: null, age_ms: null, error: 'nvidia-smi is not installed', cards: [] },
  });
  assert.deepEqual(config, { at, consumers_added: ['a'], consumers_removed: [] });
  assert.deepEqual(operator, { at, action: 'drain', by: '127.0.0.1' });
  reader.destroy();
});

test('the stream is declared so that nobody on the way holds it back', async (t) => {
  const { port } = await openEvents(t);
  const head = await call(port, '/v1/events', { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.match(head.headers['content-type'] ?? '', /^text\/event-stream/);
  assert.equal(head.headers['x-accel-buffering'], 'no');
  assert.match(head.headers['cache-control'] ?? '', /no-cache/);
});

test('a reader that is too slow is told so and dropped, the others go on', async (t) => {
  const { port, journal, log } = await openEvents(t, { maxBehindBytes: 1024 * 1024 });
  const slow = await connectReader(port);
  slow.pause();
  const quick = await connectReader(port);
  const message = 'x'.repeat(100_000);
  const outcome = { end: 'failed', code: 'internal', message } as const;
  let quickBytes = 0;
  quick.on('data', (chunk: Buffer) => {
    quickBytes += chunk.length;
  });
  let sent = 0;
  while (!log.at('info').some((line) => line.includes('too slow')) && sent < 1000) {
    journal.record(1, { type: 'job', change: 'ended', job: sampleJob('j_1', { state: 'ended', outcome }) });
    sent += 1;
    while (quickBytes < sent * 100_000) await once(quick, 'data');
  }
  const parting = readUntil(slow, (text) => text.endsWith('\r\n0\r\n\r\n'));
  slow.resume();
  assert.match((await parting).slice(-1000), /event: dropped\ndata: \{"message":"too slow/);
  slow.destroy();
  const last = readUntil(quick, (rest) => rest.includes('event: operator'));
  journal.record(1, { type: 'operator', action: 'resume', by: 'me' });
  await last;
  quick.destroy();
});

test('a dropped reader that takes nothing at all is cut', async (t) => {
  const { port, journal } = await openEvents(t, { maxBehindBytes: 0, partingMs: 1 });
  const slow = await connectReader(port);
  slow.pause();
  const gone = once(slow, 'close');
  const outcome = { end: 'failed', code: 'internal', message: 'x'.repeat(8_000_000) } as const;
  for (let sent = 0; sent < 4; sent += 1) {
    journal.record(1, { type: 'job', change: 'ended', job: sampleJob('j_1', { state: 'ended', outcome }) });
    await new Promise((resolve) => setImmediate(resolve));
  }
  slow.resume();
  await gone;
  assert.ok(slow.bytesRead < 16_000_000, `${slow.bytesRead} bytes came`);
});

test('more readers than there is room for are refused with words', async (t) => {
  const { port } = await openEvents(t, { maxReaders: 1 });
  const first = await connectReader(port);
  const second = await call(port, '/v1/events');
  assert.equal(second.status, 503);
  assert.match(JSON.parse(second.text).error.message, /1 readers of events are connected, which is the most/);
  first.destroy();
});

test('a reader that left makes room', async (t) => {
  const { port, events } = await openEvents(t, { maxReaders: 1 });
  const first = await connectReader(port);
  first.destroy();
  // The server notices in its own time; the refusal must stop coming.
  while ((await call(port, '/v1/events', { method: 'HEAD' })).status === 503) {}
  const again = await connectReader(port);
  const end = readUntil(again, (text) => text.includes('the broker is stopping'));
  events.close();
  await end;
});

test('a quiet stream says that it lives', async (t) => {
  const { port } = await openEvents(t, { keepAliveMs: 5 });
  const reader = await connectReader(port);
  await readUntil(reader, (text) => text.split(': still here').length > 2);
  reader.destroy();
});
