/**
 * `GET /metrics` for Prometheus. Counters and histograms are fed by facts, gauges are read from the snapshot when
 * somebody asks. Owns its registry; the only file that knows the metrics library.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Fact, JobView } from '../core/facts.js';
import { targetName } from '../core/vocabulary.js';
import type { BrokerPort, Clock, JournalPort } from '../runtime/ports.js';
import type { Exchange, Route } from '../server/exchange.js';
import { sendText } from '../server/respond.js';
import { areFiguresValid } from './gpu-json.js';

export interface MetricsOptions {
  readonly broker: BrokerPort;
  readonly journal: JournalPort;
  readonly clock: Clock;
}

export interface Metrics {
  readonly routes: Route[];
  close(): void;
}

/** From answers that need no wait to the longest a job may take; seconds. */
const SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
const BYTES_PER_MIB = 1024 * 1024;
/** For jobs that came below `/consumers/NAME/`: an empty label would count as none at all. */
const NO_CAPABILITY = 'none';

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const countJob = createJobMetrics(registry);
  createConsumerGauges(registry, options.broker);
  createMemoryGauge(registry, options.broker);
  createCardGauges(registry, options);
  const countTarget = createTargetMetrics(registry);
  const unsubscribe = options.journal.subscribe(({ fact }) => {
    if (fact.type === 'job') countJob(fact.change, fact.job);
    else countTarget(fact);
  });
  const show = async (exchange: Exchange) => sendText(exchange, 200, registry.contentType, await registry.metrics());
  return {
    routes: [{ method: 'GET', path: '/metrics', needs: 'ask', handler: show }],
    close() {
      unsubscribe();
      registry.clear();
    },
  };
}

function createJobMetrics(registry: Registry): (change: string, job: JobView) => void {
  const registers = [registry];
  const ended = new Counter({
    name: 'mgpu_jobs_total',
    help: 'Jobs that have ended, by how they ended',
    labelNames: ['consumer', 'capability', 'end'],
    registers,
  });
  const wait = new Histogram({
    name: 'mgpu_wait_seconds',
    help: 'From the headers of a request to its grant',
    labelNames: ['consumer', 'class'],
    buckets: SECONDS,
    registers,
  });
  const run = new Histogram({
    name: 'mgpu_run_seconds',
    help: 'From the grant of a job to its end',
    labelNames: ['consumer'],
    buckets: SECONDS,
    registers,
  });
  return (change, job) => {
    const { consumer } = job;
    if (change === 'granted' && job.grantedAt !== null) {
      wait.observe({ consumer, class: job.class }, (job.grantedAt - job.queuedAt) / 1000);
    }
    if (change !== 'ended' || job.outcome === null) return;
    ended.inc({ consumer, capability: job.capability ?? NO_CAPABILITY, end: job.outcome.end });
    if (job.grantedAt !== null && job.endedAt !== null) {
      run.observe({ consumer }, (job.endedAt - job.grantedAt) / 1000);
    }
  };
}

function createTargetMetrics(registry: Registry): (fact: Fact) => void {
  const registers = [registry];
  const loads = new Counter({ name: 'mgpu_loads_total', help: 'Targets that became resident', registers });
  const evictions = new Counter({
    name: 'mgpu_evictions_total',
    help: 'Targets that were made to leave the card',
    labelNames: ['target', 'reason'],
    registers,
  });
  const seconds = (name: string, help: string) => new Histogram({ name, help, buckets: SECONDS, registers });
  const load = seconds('mgpu_load_seconds', 'From the beginning of a load to the answer that shows it');
  const unload = seconds('mgpu_unload_seconds', 'From asking a target to leave to the reading that shows it gone');
  const outOfMemory = new Counter({
    name: 'mgpu_oom_total',
    help: 'Times that a consumer said that the memory of the card ran out, jobs tried again included',
    labelNames: ['consumer'],
    registers,
  });
  return (fact) => {
    if (fact.type === 'out_of_memory') outOfMemory.inc({ consumer: fact.target.consumer });
    if (fact.type !== 'target') return;
    const { reason } = fact;
    if (fact.to === 'evicting') evictions.inc({ target: targetName(fact.target), reason: reason.code });
    if (fact.from === 'loading' && fact.to === 'resident') loads.inc();
    if (reason.code === 'ready' && reason.tookMs !== null) load.observe(reason.tookMs / 1000);
    if (reason.code === 'freed') unload.observe(reason.tookMs / 1000);
  };
}

function createConsumerGauges(registry: Registry, broker: BrokerPort): void {
  const perConsumer = { labelNames: ['consumer'], registers: [registry] };
  new Gauge({
    name: 'mgpu_queue_depth',
    help: 'Jobs that have not begun, bodies still coming in included',
    ...perConsumer,
    collect() {
      this.reset();
      for (const { id, queued } of broker.snapshot().consumers) this.set({ consumer: id }, queued);
    },
  });
  new Gauge({
    name: 'mgpu_jobs_running',
    help: 'Jobs that have been granted and have not ended',
    ...perConsumer,
    collect() {
      this.reset();
      for (const { id, active } of broker.snapshot().consumers) this.set({ consumer: id }, active);
    },
  });
  new Gauge({
    name: 'mgpu_consumer_up',
    help: '1: the last probe was good, 0: it was not; absent: not known',
    ...perConsumer,
    collect() {
      this.reset();
      for (const { id, health } of broker.snapshot().consumers) {
        if (health !== 'unknown') this.set({ consumer: id }, health === 'up' ? 1 : 0);
      }
    },
  });
}

function createMemoryGauge(registry: Registry, broker: BrokerPort): void {
  new Gauge({
    name: 'mgpu_consumer_vram_bytes',
    help: "What a consumer's processes hold; absent where it cannot be measured",
    labelNames: ['consumer'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { id, heldMib } of broker.snapshot().consumers) {
        if (heldMib !== null) this.set({ consumer: id }, heldMib * BYTES_PER_MIB);
      }
    },
  });
}

function createCardGauges(registry: Registry, { broker, clock }: MetricsOptions): void {
  const perCard = { labelNames: ['card'], registers: [registry] };
  new Gauge({
    name: 'mgpu_gpu_memory_used_bytes',
    help: 'Memory in use on the card; absent where the reading is too old or does not say',
    ...perCard,
    collect() {
      this.reset();
      const { reading } = broker.snapshot();
      if (reading === null || !areFiguresValid(reading, clock.now())) return;
      for (const { index, usedMib } of reading.cards) {
        if (usedMib !== null) this.set({ card: String(index) }, usedMib * BYTES_PER_MIB);
      }
    },
  });
  new Gauge({
    name: 'mgpu_gpu_memory_total_bytes',
    help: 'Memory of the card',
    ...perCard,
    collect() {
      this.reset();
      for (const { index, totalMib } of broker.snapshot().reading?.cards ?? []) {
        if (totalMib !== null) this.set({ card: String(index) }, totalMib * BYTES_PER_MIB);
      }
    },
  });
}
