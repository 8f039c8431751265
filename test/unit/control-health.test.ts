import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fact } from '../../src/core/facts.js';
import { consumerId } from '../../src/core/vocabulary.js';
import { openControl } from '../support/open-control.js';
import { sampleJob } from '../support/still-broker.js';
import { call } from '../support/wire.js';

test('healthy while the loop turns and jobs are granted', async (t) => {
  const { port, broker } = await openControl(t);
  broker.turnedAt = broker.clock.nowMs - 10_000;
  broker.state = { stalledSince: broker.clock.nowMs - 30_000 };
  const answer = await call(port, '/healthz');
  assert.equal(answer.status, 200);
  assert.deepEqual(JSON.parse(answer.text), { status: 'ok' });
});

test('a loop that stands still is told as such', async (t) => {
  const { port, broker } = await openControl(t);
  broker.turnedAt = broker.clock.nowMs - 10_001;
  const answer = await call(port, '/healthz');
  assert.equal(answer.status, 503);
  assert.equal(JSON.parse(answer.text).problem, 'loop');
});

test('a job that could run and does not is told as such', async (t) => {
  const { port, broker } = await openControl(t);
  broker.state = { stalledSince: broker.clock.nowMs - 30_001 };
  const answer = await call(port, '/healthz');
  assert.equal(answer.status, 503);
  const { problem, message } = JSON.parse(answer.text);
  assert.equal(problem, 'grants');
  assert.match(message, /30 s/);
});

test('ready means that jobs are taken', async (t) => {
  const { port, broker } = await openControl(t);
  assert.equal((await call(port, '/readyz')).status, 200);
  broker.state = { state: 'draining' };
  const answer = await call(port, '/readyz');
  assert.equal(answer.status, 503);
  assert.equal(answer.headers['x-mgpu-error'], 'draining');
});

test('the root names version and links, for programs and for browsers', async (t) => {
  const { port } = await openControl(t);
  const json = JSON.parse((await call(port, '/')).text);
  assert.equal(json.name, 'mgpumanager');
  assert.equal(json.version, '0.1.0');
  const { page: pagePath, ...links } = json.links;
  assert.equal(pagePath, '/ui/');
  for (const path of Object.values<string>(links)) {
    const { status } = await call(port, path, { method: 'HEAD' });
    assert.ok(status === 200, `${path} ${status}`);
  }
  const page = await call(port, '/', { headers: { Accept: 'text/html,*/*' } });
  assert.equal(page.status, 302);
  assert.equal(page.headers.location, '/ui/');
  assert.equal(page.headers.vary, 'Accept');
});

test('each fact is one log line, with the job and without what it carried', async (t) => {
  const { journal, log } = await openControl(t);
  const done = { end: 'done', code: null, message: null } as const;
  const failed = { end: 'failed', code: 'consumer_failed', message: 'reset' } as const;
  const facts: Fact[] = [
    { type: 'job', change: 'ended', job: sampleJob('j_1', { grantedAt: 5000, endedAt: 7000.2, outcome: done }) },
    { type: 'job', change: 'ended', job: sampleJob('j_2', { endedAt: 4010, outcome: failed }) },
    { type: 'consumer', consumer: consumerId('mvoice'), health: 'down', error: 'connection refused' },
    { type: 'consumer', consumer: consumerId('mvoice'), health: 'up', error: null },
    { type: 'operator', action: 'drain', by: '127.0.0.1' },
  ];
  for (const fact of facts) journal.record(1, fact);
  assert.deepEqual(
    log.lines.map(({ level, message }) => `${level} ${message}`),
    ['info job done', 'warn job failed', 'warn mvoice is down', 'info mvoice is up', 'info operator action'],
  );
  assert.deepEqual(log.lines[0]?.fields, {
    job: 'j_1',
    consumer: 'mvoice',
    model: null,
    capability: 'tts',
    class: 'interactive',
    client: '127.0.0.1',
    end: 'done',
    code: null,
    cause: null,
    wait_ms: 1000,
    run_ms: 2000,
  });
});

test('a card that cannot be read is told once, and once when it can be again', async (t) => {
  const { journal, log } = await openControl(t);
  for (const error of ['hangs', 'hangs', 'hangs', null, null]) journal.record(1, { type: 'gpu', reading: null, error });
  assert.deepEqual(log.at('warn'), ['the card cannot be read']);
  assert.deepEqual(log.at('info'), ['the card can be read again']);
});
