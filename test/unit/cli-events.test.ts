/** `mgpu events`: one line an event, and what happens when the stream ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventLine } from '../../src/cli/event-line.js';
import { eventsOf, type ServerEvent } from '../../src/cli/event-stream.js';
import { startMgpu } from '../support/mgpu-process.js';
import { openControl } from '../support/open-control.js';
import { openStandIn } from '../support/stand-in.js';
import { sampleJob } from '../support/still-broker.js';

test('every kind of event is a line with its local time', async (t) => {
  const { port, journal } = await openControl(t);
  const events = startMgpu(t, ['events', '--url', `http://127.0.0.1:${port}`], { TZ: 'UTC' });
  // Whoever connects sees only what happens from then on, so the first one is told until it was seen.
  const timer = setInterval(() => journal.record(2000, { type: 'operator', action: 'drain', by: '10.0.0.1' }), 20);
  t.after(() => clearInterval(timer));
  await events.until(/operator/);
  clearInterval(timer);
  const outcome = { end: 'failed', code: 'consumer_failed', message: 'it said 500' } as const;
  const job = sampleJob('j_1', { model: 'a\nb', state: 'ended', grantedAt: 5000, endedAt: 7000, outcome });
  journal.record(3000, { type: 'job', change: 'ended', job });
  journal.record(4000, { type: 'consumer', consumer: job.consumer, health: 'down', error: 'refused' });
  journal.record(5000, { type: 'gpu', reading: null, error: 'no tool' });
  journal.record(6000, { type: 'config', consumersAdded: [job.consumer], consumersRemoved: [] });
  await events.until(/config/);
  events.child.kill('SIGINT');
  assert.equal(await events.end, 0);
  assert.equal(events.stderr(), '');
  const lines = events.stdout().trimEnd().split('\n');
  assert.equal(lines[0], '08:00:01  operator  drain by 10.0.0.1');
  assert.deepEqual(lines.slice(-4), [
    '08:00:02  job       ended      j_1  mvoice a\uFFFDb  failed (consumer_failed), ran 2.0 s: it said 500',
    '08:00:03  consumer  mvoice is down: refused',
    '08:00:04  gpu       cannot be read: no tool',
    '08:00:05  config    a configuration came into force (+mvoice)',
  ]);
});

test('after an end of the stream it connects again, with a note', async (t) => {
  const { url, next } = await openStandIn(t);
  const events = startMgpu(t, ['events', '--url', url]);
  const first = await next();
  first.res.writeHead(200, { 'Content-Type': 'text/event-stream' });
  first.res.end('event: dropped\ndata: {"message":"too slow"}\n\n');
  await events.until(/dropped {3}too slow/);
  await events.until(/lost \(the stream ended\); trying again every 2 s/);
  const second = await next();
  second.res.writeHead(200, { 'Content-Type': 'text/event-stream' });
  second.res.write('event: operator\ndata: {"action":"resume","by":"x"}\n\n');
  await events.until(/connected again/);
  await events.until(/resume by x/);
  events.child.kill('SIGTERM');
  assert.equal(await events.end, 0);
  await second.closed;
});

test('a refused stream is the answer: 1', async (t) => {
  const { url } = await openStandIn(t, ({ res }) => {
    res.writeHead(503, { 'Content-Type': 'application/json' });
    res.end('{"error":{"message":"100 readers of events are connected"}}');
  });
  const events = startMgpu(t, ['events', '--url', url]);
  assert.equal(await events.end, 1);
  assert.match(events.stderr(), /^100 readers of events are connected\n$/);
});

async function read(chunks: readonly string[]): Promise<ServerEvent[]> {
  const bytes = Buffer.from(chunks.join(''));
  // Byte by byte: every cut there can be, inside characters too.
  const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
  const events: ServerEvent[] = [];
  for await (const event of eventsOf(
    (async function* () {
      yield* single;
    })(),
  ))
    events.push(event);
  return events;
}

test('a stream cut anywhere: comments, retry, several data lines and CRLF', async () => {
  assert.deepEqual(
    await read([': hello\n\nretry: 2000\n\n', 'event: a\r\ndata: ü\r\ndata:2\r\n\r\n', 'data: x\n\n', 'data: lost']),
    [
      { name: 'a', data: 'ü\n2' },
      { name: 'message', data: 'x' },
    ],
  );
});

test('a line without an end is not kept for ever', async () => {
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) yield new Uint8Array(1024 * 1024).fill(120);
  }
  await assert.rejects(async () => {
    for await (const _ of eventsOf(endless())) assert.fail('no event in it');
  }, /longer than 4 MiB/);
});

test('an event of a newer daemon is shown as it came', () => {
  assert.match(eventLine({ name: 'target', data: '{"x":1}' }), /^— {2}target {4}\{"x":1\}$/);
  assert.match(eventLine({ name: 'odd', data: 'no JSON' }), /no JSON$/);
});
