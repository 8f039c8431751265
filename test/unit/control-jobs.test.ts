import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEPT_ENDED_JOBS } from '../../src/control/ended-jobs.js';
import type { JobView } from '../../src/core/facts.js';
import { consumerId, jobId } from '../../src/core/vocabulary.js';
import { openControl } from '../support/open-control.js';
import { sampleJob } from '../support/still-broker.js';
import { call } from '../support/wire.js';

const endedJob = (name: string, changes: Partial<JobView> = {}): JobView =>
  sampleJob(name, {
    state: 'ended',
    grantedAt: 5000,
    firstByteAt: 5500,
    endedAt: 7500,
    position: null,
    reason: null,
    outcome: { end: 'failed', code: 'consumer_failed', message: 'mvoice reset the connection' },
    ...changes,
  });

test('a job that ended is found with its times, its end and what it waited for', async (t) => {
  const { port, journal } = await openControl(t);
  const target = { consumer: consumerId('comfyui'), model: null };
  const reason = { code: 'turn_busy', holder: jobId('j_0'), target, since: 1000 } as const;
  journal.record(7500, { type: 'job', change: 'ended', job: endedJob('j_1', { reasons: [{ at: 4000, reason }] }) });
  const answer = await call(port, '/v1/jobs/j_1');
  assert.equal(answer.status, 200);
  assert.deepEqual(JSON.parse(answer.text), {
    id: 'j_1',
    consumer: 'mvoice',
    model: null,
    capability: 'tts',
    class: 'interactive',
    client: '127.0.0.1',
    state: 'ended',
    answered: false,
    queued_at: '2026-11-25T08:00:03.000Z',
    waited_ms: 1000,
    position: null,
    expected_wait_ms: null,
    reason: null,
    granted_at: '2026-11-25T08:00:04.000Z',
    first_byte_at: '2026-11-25T08:00:04.500Z',
    ended_at: '2026-11-25T08:00:06.500Z',
    run_ms: 2500,
    end: 'failed',
    code: 'consumer_failed',
    message: 'mvoice reset the connection',
    reasons: [
      {
        at: '2026-11-25T08:00:03.000Z',
        code: 'turn_busy',
        text: 'waiting for comfyui, which has had the card for 3 s',
        waits_for: 'comfyui',
        holder: 'j_0',
      },
    ],
  });
});

test('the list has what runs, what waits, then what ended, the newest first', async (t) => {
  const { port, journal, broker } = await openControl(t);
  broker.jobs = [sampleJob('j_run', { state: 'running', grantedAt: 5000 }), sampleJob('j_a'), sampleJob('j_b')];
  for (const name of ['j_1', 'j_2', 'j_3']) journal.record(1, { type: 'job', change: 'ended', job: endedJob(name) });
  const idsOf = async (query: string) =>
    JSON.parse((await call(port, `/v1/jobs${query}`)).text).jobs.map((job: { id: string }) => job.id);
  assert.deepEqual(await idsOf(''), ['j_run', 'j_a', 'j_b', 'j_3', 'j_2', 'j_1']);
  assert.deepEqual(await idsOf('?limit=1'), ['j_run', 'j_a', 'j_3']);
  assert.deepEqual(await idsOf('?limit=1&ended=0'), ['j_run', 'j_a']);
  assert.equal((await call(port, '/v1/jobs?ended=-1')).status, 400);
  for (const bad of ['0', 'many', '5001', '1.5']) {
    assert.equal((await call(port, `/v1/jobs?limit=${bad}`)).status, 400, bad);
  }
});

test('only the last ended jobs are kept, others are not found', async (t) => {
  const { port, journal } = await openControl(t);
  for (let at = 0; at <= KEPT_ENDED_JOBS; at += 1) {
    journal.record(at, { type: 'job', change: 'ended', job: endedJob(`j_${at}`) });
  }
  assert.equal((await call(port, '/v1/jobs/j_1')).status, 200);
  const gone = await call(port, '/v1/jobs/j_0');
  assert.equal(gone.status, 404);
  assert.equal(JSON.parse(gone.text).error.code, 'job_not_found');
});

test('cancelling waits for the end and tells it', async (t) => {
  const { port, broker, journal } = await openControl(t);
  broker.jobs = [sampleJob('j_1', { client: '10.0.0.1' })];
  broker.onPost = () =>
    setImmediate(() => {
      const outcome = { end: 'cancelled', code: 'cancelled_by_operator', message: 'cancelled' } as const;
      journal.record(9, { type: 'job', change: 'ended', job: endedJob('j_other') });
      journal.record(9, { type: 'job', change: 'ended', job: endedJob('j_1', { outcome }) });
    });
  const answer = await call(port, '/v1/jobs/j_1', { method: 'DELETE' });
  assert.equal(answer.status, 200);
  const { cancelled, job } = JSON.parse(answer.text);
  assert.equal(cancelled, true);
  assert.equal(job.code, 'cancelled_by_operator');
  assert.deepEqual(broker.posted, [{ type: 'OperatorAsked', action: { kind: 'cancel', job: 'j_1' }, by: '127.0.0.1' }]);
});

test('who sent a job may cancel it, another observer may not', async (t) => {
  const { port, broker, journal } = await openControl(t);
  broker.jobs = [sampleJob('j_1', { client: '10.0.0.1' })];
  const from = (address: string) => ({ method: 'DELETE', headers: { 'X-Forwarded-For': address } });
  const stranger = await call(port, '/v1/jobs/j_1', from('10.0.0.2'));
  assert.equal(stranger.status, 403);
  assert.deepEqual(broker.posted, []);
  broker.onPost = () => journal.record(9, { type: 'job', change: 'ended', job: endedJob('j_1') });
  const sender = await call(port, '/v1/jobs/j_1', from('10.0.0.1'));
  assert.equal(sender.status, 200);
  // It ended by itself in that moment: the answer does not claim otherwise.
  assert.equal(JSON.parse(sender.text).cancelled, false);
});

test('cancelling what has ended says so, what never was is not found', async (t) => {
  const { port, broker, journal } = await openControl(t);
  journal.record(1, { type: 'job', change: 'ended', job: endedJob('j_1') });
  const ended = await call(port, '/v1/jobs/j_1', { method: 'DELETE' });
  assert.equal(ended.status, 200);
  assert.equal(JSON.parse(ended.text).cancelled, false);
  assert.equal((await call(port, '/v1/jobs/j_2', { method: 'DELETE' })).status, 404);
  assert.deepEqual(broker.posted, []);
});

test('drain, resume and reload are for operators', async (t) => {
  const { port, broker } = await openControl(t);
  const headers = { 'X-Forwarded-For': '10.0.0.1' };
  for (const path of ['/v1/drain', '/v1/resume', '/v1/reload']) {
    assert.equal((await call(port, path, { method: 'POST', headers })).status, 403, path);
    assert.equal((await call(port, path)).status, 405, path);
  }
  assert.deepEqual(broker.posted, []);
});

test('drain and resume answer with the state they led to', async (t) => {
  const { port, broker } = await openControl(t);
  broker.onPost = (event) => {
    if (event.type !== 'OperatorAsked') return;
    broker.state = { state: event.action.kind === 'drain' ? 'draining' : 'ready', queueDepth: 3 };
  };
  const drained = await call(port, '/v1/drain', { method: 'POST' });
  assert.deepEqual(JSON.parse(drained.text), { state: 'draining', queue_depth: 3, in_flight: 0 });
  const resumed = await call(port, '/v1/resume', { method: 'POST' });
  assert.equal(JSON.parse(resumed.text).state, 'ready');
  assert.deepEqual(
    broker.posted.map((event) => (event.type === 'OperatorAsked' ? event.action.kind : event.type)),
    ['drain', 'resume'],
  );
});

test('a broker that stops cannot be called back, and says so', async (t) => {
  const { port, broker } = await openControl(t);
  broker.state = { state: 'draining' };
  const answer = await call(port, '/v1/resume', { method: 'POST' });
  assert.equal(answer.status, 503);
  assert.equal(JSON.parse(answer.text).error.code, 'draining');
});

test('reload says what changed and what needs a restart', async (t) => {
  const { port } = await openControl(t);
  const answer = await call(port, '/v1/reload', { method: 'POST' });
  assert.deepEqual(JSON.parse(answer.text), {
    changed: true,
    needs_restart: ['bind'],
    loaded_at: '2026-11-25T08:00:00.000Z',
  });
});
