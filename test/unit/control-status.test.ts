import assert from 'node:assert/strict';
import { test } from 'node:test';
import { consumerId, type GpuReading, jobId } from '../../src/core/vocabulary.js';
import { openControl } from '../support/open-control.js';
import { sampleConfiguration, sampleConsumer } from '../support/sample-configuration.js';
import { sampleConsumerSnapshot, sampleJob } from '../support/still-broker.js';
import { call } from '../support/wire.js';

const READING: GpuReading = {
  source: 'nvidia-smi',
  startedAt: 0,
  processes: null,
  sampledAt: 12_200,
  sampledWall: Date.UTC(2026, 10, 25, 8, 0, 11, 200),
  cards: [
    {
      index: 0,
      uuid: 'GPU-1',
      name: 'NVIDIA GeForce RTX 4090',
      totalMib: 24564,
      usedMib: 9120,
      freeMib: 15064,
      driverReservedMib: 380,
      utilizationPct: 31,
      temperatureC: 54,
      powerW: 210.5,
    },
  ],
};

const readStatus = async (port: number) => {
  const answer = await call(port, '/v1/status');
  assert.equal(answer.status, 200);
  return JSON.parse(answer.text);
};

test('status says exactly what the contract says, in its names and units', async (t) => {
  const { port, broker, configuration } = await openControl(t);
  const mvoice = sampleConsumer('mvoice', { pin: true, url: 'http://user:secret@127.0.0.1:8766' });
  const ollama = sampleConsumer('ollama', { kind: 'ollama', url: 'http://127.0.0.1:11434' });
  configuration.held = sampleConfiguration({
    file: '/home/me/consumers.yaml',
    consumers: new Map([
      [mvoice.id, mvoice],
      [ollama.id, ollama],
    ]),
  });
  configuration.refusal = 'consumers.yaml:3:1 gpu.headrom: unknown key';
  const target = { consumer: consumerId('mvoice'), model: null };
  broker.jobs = [
    sampleJob('j_run', { state: 'running', grantedAt: 5250.4, answered: true, position: null, reason: null }),
    sampleJob('j_wait', {
      consumer: consumerId('ollama'),
      model: 'qwen3:8b',
      capability: 'llm',
      client: '100.101.1.7',
      queuedAt: 10_790,
      expectedWaitMs: 4000.4,
      reason: { code: 'turn_busy', holder: jobId('j_run'), target, since: 5000 },
    }),
  ];
  broker.state = {
    totalJobs: 118,
    lastWaitMs: 12.3,
    lastRunMs: 1840,
    oldestQueuedAt: 10_790,
    reading: READING,
    consumers: [
      sampleConsumerSnapshot('mvoice', {
        active: 1,
        totalRequests: 31,
        lastUsedAt: 5250,
        residency: 'resident',
        heldMib: 4310,
        runP50Ms: 900.2,
        runP95Ms: 2100,
      }),
      sampleConsumerSnapshot('ollama', {
        health: 'down',
        healthError: 'connection refused',
        queued: 1,
        targets: [
          {
            target: { consumer: consumerId('ollama'), model: 'qwen3:8b' },
            residency: 'resident',
            since: 0,
            residentMib: 5200,
            source: 'learned',
            runMib: null,
            lastUsedAt: null,
            pinned: true,
          },
        ],
      }),
    ],
    cards: [{ index: 0, foreignMib: 610, claimedMib: 1200, headroomMib: null }],
  };
  assert.deepEqual(await readStatus(port), {
    version: '0.1.0',
    started_at: '2026-11-25T08:00:00.000Z',
    uptime_s: 12,
    policy: 'locked',
    state: 'ready',
    config: {
      file: '/home/me/consumers.yaml',
      loaded_at: '2026-11-25T08:00:00.000Z',
      error: 'consumers.yaml:3:1 gpu.headrom: unknown key',
    },
    gpu: {
      source: 'nvidia-smi',
      sampled_at: '2026-11-25T08:00:11.200Z',
      age_ms: 800,
      error: null,
      reserve_mib: 512,
      cards: [
        {
          index: 0,
          uuid: 'GPU-1',
          name: 'NVIDIA GeForce RTX 4090',
          total_mib: 24564,
          used_mib: 9120,
          free_mib: 15064,
          driver_reserved_mib: 380,
          foreign_mib: 610,
          claimed_mib: 1200,
          utilization_pct: 31,
          temperature_c: 54,
          power_w: 210.5,
        },
      ],
    },
    scheduler: {
      queue_depth: 1,
      in_flight: 1,
      total_jobs: 118,
      last_wait_ms: 12,
      last_run_ms: 1840,
      oldest_queued: '2026-11-25T08:00:09.790Z',
      evictions: 0,
      loads: 0,
    },
    consumers: {
      mvoice: {
        kind: 'http',
        url: 'http://127.0.0.1:8766',
        cards: [0],
        health: 'up',
        health_error: null,
        checked_at: '2026-11-25T08:00:11.000Z',
        loaded: true,
        residency: 'resident',
        gpu_resident_mib: 4310,
        gpu_resident_source: 'measured',
        active: 1,
        queued: 0,
        total_requests: 31,
        failed_requests: 0,
        last_used_at: '2026-11-25T08:00:04.250Z',
        pinned: true,
        run_p50_ms: 900,
        run_p95_ms: 2100,
        foreign_work: null,
        models: [],
      },
      ollama: {
        kind: 'ollama',
        url: 'http://127.0.0.1:11434',
        cards: [0],
        health: 'down',
        health_error: 'connection refused',
        checked_at: '2026-11-25T08:00:11.000Z',
        loaded: null,
        residency: 'unknown',
        gpu_resident_mib: 5200,
        gpu_resident_source: 'learned',
        active: 0,
        queued: 1,
        total_requests: 0,
        failed_requests: 0,
        last_used_at: null,
        pinned: false,
        run_p50_ms: null,
        run_p95_ms: null,
        foreign_work: null,
        models: [
          {
            name: 'qwen3:8b',
            loaded: true,
            residency: 'resident',
            gpu_resident_mib: 5200,
            gpu_resident_source: 'learned',
            last_used_at: null,
            pinned: true,
          },
        ],
      },
    },
    jobs: [
      {
        id: 'j_run',
        consumer: 'mvoice',
        model: null,
        capability: 'tts',
        class: 'interactive',
        client: '127.0.0.1',
        state: 'running',
        answered: true,
        queued_at: '2026-11-25T08:00:03.000Z',
        waited_ms: 1250,
        position: null,
        expected_wait_ms: null,
        reason: null,
      },
      {
        id: 'j_wait',
        consumer: 'ollama',
        model: 'qwen3:8b',
        capability: 'llm',
        class: 'interactive',
        client: '100.101.1.7',
        state: 'waiting',
        answered: false,
        queued_at: '2026-11-25T08:00:09.790Z',
        waited_ms: 2210,
        position: 1,
        expected_wait_ms: 4000,
        reason: {
          code: 'turn_busy',
          text: 'waiting for mvoice, which has had the card for 8 s',
          waits_for: 'mvoice',
          holder: 'j_run',
        },
      },
    ],
    jobs_omitted: 0,
  });
});

test('with 2,000 waiting jobs status shows all that run and the first 100, fast', async (t) => {
  const { port, broker } = await openControl(t);
  let made = 0;
  const running = Array.from({ length: 3 }, (_, at) => sampleJob(`j_run${at}`, { state: 'running', grantedAt: 5000 }));
  broker.state = {
    queueDepth: 2000,
    jobs: function* () {
      yield* running;
      for (let position = 1; position <= 2000; position += 1) {
        made += 1;
        yield sampleJob(`j_${position}`, { position });
      }
    },
  };
  await readStatus(port);
  made = 0;
  const startedAt = performance.now();
  const status = await readStatus(port);
  const tookMs = performance.now() - startedAt;
  assert.equal(status.jobs.length, 103);
  assert.equal(status.jobs_omitted, 1900);
  assert.equal(status.jobs[102].id, 'j_100');
  assert.ok(made <= 101, `${made} jobs were made for 100 shown`);
  assert.ok(tookMs < 100, `${tookMs} ms`);
});

test('an old reading keeps its figures and its age, a very old one loses the figures', async (t) => {
  const { port, broker } = await openControl(t);
  broker.state = { reading: READING, readingError: 'nvidia-smi did not answer within 4 s' };
  broker.clock.nowMs = READING.sampledAt + 6000;
  const old = (await readStatus(port)).gpu;
  assert.equal(old.age_ms, 6000);
  assert.equal(old.cards[0].used_mib, 9120);
  assert.equal(old.error, 'nvidia-smi did not answer within 4 s');
  broker.clock.nowMs = READING.sampledAt + 30_001;
  const [card] = (await readStatus(port)).gpu.cards;
  for (const figure of ['used_mib', 'free_mib', 'utilization_pct', 'temperature_c', 'power_w', 'driver_reserved_mib']) {
    assert.equal(card[figure], null, figure);
  }
  assert.equal(card.name, 'NVIDIA GeForce RTX 4090');
  assert.equal(card.total_mib, 24564);
});

test('what the tool does not say is null, and without a reading there are no cards', async (t) => {
  const { port, broker, configuration } = await openControl(t);
  broker.state = { readingError: 'nvidia-smi is not installed' };
  assert.deepEqual((await readStatus(port)).gpu, {
    source: null,
    sampled_at: null,
    age_ms: null,
    error: 'nvidia-smi is not installed',
    cards: [],
    reserve_mib: 512,
  });
  configuration.held = sampleConfiguration({ gpu: { ...configuration.held.gpu, source: 'none' } });
  assert.equal((await readStatus(port)).gpu.source, 'none');
  const [card] = READING.cards;
  assert.ok(card !== undefined);
  broker.state = { reading: { ...READING, cards: [{ ...card, usedMib: null, freeMib: null, utilizationPct: null }] } };
  const shown = (await readStatus(port)).gpu.cards[0];
  assert.deepEqual([shown.used_mib, shown.free_mib, shown.utilization_pct], [null, null, null]);
});

test('starting lasts until the first probes are in, and not for ever', async (t) => {
  const { port, broker } = await openControl(t);
  broker.state = { consumers: [sampleConsumerSnapshot('mvoice', { health: 'unknown', checkedAt: null })] };
  broker.clock.nowMs = 2000;
  assert.equal((await readStatus(port)).state, 'starting');
  broker.clock.nowMs = 17_000;
  assert.equal((await readStatus(port)).state, 'ready');
  broker.state = { state: 'draining' };
  assert.equal((await readStatus(port)).state, 'draining');
});

test('a consumer of any allowed name is shown', async (t) => {
  const { port, broker, configuration } = await openControl(t);
  const odd = sampleConsumer('__proto__');
  configuration.held = sampleConfiguration({ consumers: new Map([[odd.id, odd]]) });
  broker.state = { consumers: [sampleConsumerSnapshot('__proto__')] };
  assert.ok(Object.hasOwn((await readStatus(port)).consumers, '__proto__'));
});
