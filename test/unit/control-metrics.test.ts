import assert from 'node:assert/strict';
import { test } from 'node:test';
import { consumerId } from '../../src/core/vocabulary.js';
import { parseExposition, type Sample } from '../support/exposition.js';
import { openControl } from '../support/open-control.js';
import { sampleConsumerSnapshot, sampleJob } from '../support/still-broker.js';
import { call } from '../support/wire.js';

async function scrape(port: number): Promise<Sample[]> {
  const answer = await call(port, '/metrics');
  assert.equal(answer.status, 200);
  assert.match(answer.headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/);
  return parseExposition(answer.text);
}

/** The value of the one sample with exactly these labels; undefined: there is none. */
function sampleValue(
  samples: readonly Sample[],
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const wanted = JSON.stringify(Object.entries(labels).sort());
  return samples.find(
    (sample) => sample.name === name && JSON.stringify(Object.entries(sample.labels).sort()) === wanted,
  )?.value;
}

test('jobs are counted by their end, waits and runs measured in seconds', async (t) => {
  const { port, journal } = await openControl(t);
  const job = sampleJob('j_1', { state: 'running', grantedAt: 5500 });
  const outcome = { end: 'done', code: null, message: null } as const;
  journal.record(1, { type: 'job', change: 'granted', job });
  journal.record(2, { type: 'job', change: 'ended', job: { ...job, state: 'ended', endedAt: 7500, outcome } });
  journal.record(2, { type: 'job', change: 'work_over', job: { ...job, state: 'ended', endedAt: 7500, outcome } });
  const refused = { end: 'refused', code: 'queue_full', message: 'overloaded' } as const;
  journal.record(3, { type: 'job', change: 'ended', job: sampleJob('j_2', { capability: null, outcome: refused }) });
  const samples = await scrape(port);
  assert.equal(sampleValue(samples, 'mgpu_jobs_total', { consumer: 'mvoice', capability: 'tts', end: 'done' }), 1);
  assert.equal(sampleValue(samples, 'mgpu_jobs_total', { consumer: 'mvoice', capability: 'none', end: 'refused' }), 1);
  assert.equal(sampleValue(samples, 'mgpu_wait_seconds_sum', { consumer: 'mvoice', class: 'interactive' }), 1.5);
  assert.equal(sampleValue(samples, 'mgpu_run_seconds_sum', { consumer: 'mvoice' }), 2);
  assert.equal(sampleValue(samples, 'mgpu_run_seconds_count', { consumer: 'mvoice' }), 1);
  assert.equal(sampleValue(samples, 'mgpu_run_seconds_bucket', { consumer: 'mvoice', le: '+Inf' }), 1);
  assert.equal(sampleValue(samples, 'mgpu_run_seconds_bucket', { consumer: 'mvoice', le: '1' }), 0);
});

test('gauges say what is so now; a consumer that was removed is gone, unknown is absent', async (t) => {
  const { port, broker } = await openControl(t);
  const odd = 'odd"\\name';
  broker.state = {
    consumers: [
      sampleConsumerSnapshot('mvoice', { queued: 3, active: 1 }),
      sampleConsumerSnapshot('ollama', { health: 'down' }),
      sampleConsumerSnapshot('comfyui', { health: 'unknown' }),
      sampleConsumerSnapshot(odd),
    ],
  };
  const before = await scrape(port);
  assert.equal(sampleValue(before, 'mgpu_queue_depth', { consumer: 'mvoice' }), 3);
  assert.equal(sampleValue(before, 'mgpu_jobs_running', { consumer: 'mvoice' }), 1);
  assert.equal(sampleValue(before, 'mgpu_consumer_up', { consumer: 'mvoice' }), 1);
  assert.equal(sampleValue(before, 'mgpu_consumer_up', { consumer: 'ollama' }), 0);
  assert.equal(sampleValue(before, 'mgpu_consumer_up', { consumer: 'comfyui' }), undefined);
  broker.state = { consumers: [sampleConsumerSnapshot('ollama')] };
  const after = await scrape(port);
  assert.equal(sampleValue(after, 'mgpu_queue_depth', { consumer: 'mvoice' }), undefined);
  assert.equal(sampleValue(after, 'mgpu_consumer_up', { consumer: 'ollama' }), 1);
});

test('card memory is in bytes and vanishes with an old reading', async (t) => {
  const { port, broker } = await openControl(t);
  const card = {
    index: 0,
    uuid: null,
    name: null,
    totalMib: 24_000,
    usedMib: 1,
    freeMib: null,
    driverReservedMib: null,
    utilizationPct: null,
    temperatureC: null,
    powerW: null,
  };
  const cards = [card, { ...card, index: 1, usedMib: null, totalMib: null }];
  broker.state = {
    reading: { source: 'nvidia-smi', startedAt: 0, processes: null, sampledAt: 13_000, sampledWall: 0, cards },
  };
  const fresh = await scrape(port);
  assert.equal(sampleValue(fresh, 'mgpu_gpu_memory_used_bytes', { card: '0' }), 1_048_576);
  assert.equal(sampleValue(fresh, 'mgpu_gpu_memory_used_bytes', { card: '1' }), undefined);
  broker.clock.nowMs = 60_000;
  const old = await scrape(port);
  assert.equal(sampleValue(old, 'mgpu_gpu_memory_used_bytes', { card: '0' }), undefined);
  assert.equal(sampleValue(old, 'mgpu_gpu_memory_total_bytes', { card: '0' }), 24_000 * 1_048_576);
});

test('each time that the memory of the card ran out is counted, also where the job was tried again', async (t) => {
  const { port, journal } = await openControl(t);
  const target = { consumer: consumerId('comfyui'), model: null };
  journal.record(1, { type: 'out_of_memory', job: sampleJob('j_1').id, target, message: 'CUDA out of memory' });
  assert.equal(sampleValue(await scrape(port), 'mgpu_oom_total', { consumer: 'comfyui' }), 1);
});

test('the process itself is measured, in one registry a daemon', async (t) => {
  const first = await openControl(t);
  const second = await openControl(t);
  assert.ok((sampleValue(await scrape(first.port), 'process_resident_memory_bytes') ?? 0) > 0);
  assert.ok((sampleValue(await scrape(second.port), 'process_start_time_seconds') ?? 0) > 0);
});
