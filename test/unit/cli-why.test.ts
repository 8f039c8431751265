/** `mgpu why`: the story of a job, and how a consumer is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { consumerId, jobId } from '../../src/core/vocabulary.js';
import { runMgpu } from '../support/mgpu-process.js';
import { openControl } from '../support/open-control.js';
import { sampleConsumerSnapshot, sampleJob } from '../support/still-broker.js';

const inUtc = (port: number): NodeJS.ProcessEnv => ({ MGPU_URL: `http://127.0.0.1:${port}`, TZ: 'UTC' });
const BUSY = {
  code: 'turn_busy',
  holder: jobId('j_other'),
  target: { consumer: consumerId('ollama'), model: 'qwen3:8b' },
  since: 4000,
} as const;
const REASONS = [
  { at: 4000, reason: { code: 'taking_in' } },
  { at: 4500, reason: BUSY },
] as const;

test('a job that ended: its reasons in order with local times and how long each held, and its end', async (t) => {
  const { port, broker } = await openControl(t);
  broker.jobs = [
    sampleJob('j_1', {
      state: 'ended',
      queuedAt: 4000,
      grantedAt: 7000,
      firstByteAt: 7700,
      endedAt: 9000,
      reason: null,
      reasons: REASONS,
      outcome: { end: 'timed_out', code: 'consumer_timeout', message: 'mvoice sent nothing for 300 s' },
    }),
  ];
  const { code, stdout, stderr } = await runMgpu(t, ['why', 'j_1'], inUtc(port));
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout.split('\n'), [
    'j_1 mvoice, from 127.0.0.1, class interactive',
    'came 2026-11-25 08:00:03 (local time)',
    '',
    '08:00:03  its body is still coming, for 0.5 s',
    '08:00:03  waiting for ollama/qwen3:8b, which has had the card for 1 s, for 2.5 s',
    '08:00:06  got the card after waiting 3.0 s',
    '08:00:06  first byte of the answer, 0.7 s later',
    '08:00:08  timed out (consumer_timeout) after running 2.0 s: mvoice sent nothing',
    '          for 300 s',
    '',
  ]);
});

test('a job that waits: the last reason holds until now, and what may be expected', async (t) => {
  const { port, broker } = await openControl(t);
  broker.jobs = [sampleJob('j_1', { reasons: REASONS, reason: BUSY, position: 2, expectedWaitMs: 3000 })];
  const { stdout } = await runMgpu(t, ['why', 'j_1'], inUtc(port));
  assert.match(stdout, /08:00:03 {2}waiting for ollama\/qwen3:8b, which has had the card for 1 s, for 8\.5 s$/m);
  assert.match(stdout, /^It waits 9\.0 s, number 2 of those that wait, about 3\.0 s more\.$/m);
});

test('where reasons were dropped, how long the first one held is unknown', async (t) => {
  const { port, broker } = await openControl(t);
  const many = Array.from({ length: 32 }, (_, index) => ({ at: 4000 + index, reason: BUSY }));
  broker.jobs = [sampleJob('j_1', { reasons: many })];
  const { stdout } = await runMgpu(t, ['why', 'j_1'], inUtc(port));
  assert.match(stdout.replaceAll(/\n +/g, ' '), /for — \(some that followed are not kept\)/);
});

test('a job that nobody knows: 1, in the words of the daemon', async (t) => {
  const { port } = await openControl(t);
  const { code, stdout, stderr } = await runMgpu(t, ['why', 'j_nobody'], inUtc(port));
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /^no job j_nobody waits or runs/);
});

test('a consumer: its state and its jobs; with a model only the jobs of that model', async (t) => {
  const { port, broker } = await openControl(t);
  broker.state = {
    consumers: [sampleConsumerSnapshot('mvoice', { health: 'down', healthError: 'refused', queued: 2 })],
  };
  broker.jobs = [sampleJob('j_1', { model: 'a' }), sampleJob('j_2', { model: 'org/b' })];
  const all = await runMgpu(t, ['why', 'mvoice'], inUtc(port));
  assert.equal(all.code, 0, all.stderr);
  assert.match(all.stdout, /^mvoice \(http at http:\/\/127\.0\.0\.1:8766\) is down: refused$/m);
  assert.match(all.stdout, /^jobs: 0 run, 2 wait, 0 ended, 0 of them failed$/m);
  assert.match(all.stdout, /^08:00:03 {2}j_1 {2}mvoice a, waits 9\.0 s$/m);
  const one = await runMgpu(t, ['why', 'mvoice/org/b'], inUtc(port));
  assert.ok(one.stdout.includes('j_2') && !one.stdout.includes('j_1'), one.stdout);
});

test('neither a job nor a consumer: 1, with the consumers there are', async (t) => {
  const { port } = await openControl(t);
  const { code, stderr } = await runMgpu(t, ['why', 'olama'], inUtc(port));
  assert.equal(code, 1);
  assert.match(stderr, /olama is neither a job .* nor a consumer; the consumers are: mvoice/);
});
