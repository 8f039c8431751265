/** `GET /v1/status`: everything at one glance, made from the snapshot and nothing else. Asks nobody, keeps nothing. */
import type { Configuration } from '../config/configuration.js';
import type { JobView } from '../core/facts.js';
import type { Snapshot } from '../core/snapshot.js';
import type { MonotonicMs } from '../core/vocabulary.js';
import type { BrokerPort, Clock, ConfigurationPort } from '../runtime/ports.js';
import type { Route } from '../server/exchange.js';
import { sendJson } from '../server/respond.js';
import { type ConsumerJson, consumerJson } from './consumer-json.js';
import { type GpuJson, gpuJson } from './gpu-json.js';
import { type JobJson, jobJson } from './job-json.js';
import { isoTime, isoTimeOrNull, wholeMsOrNull } from './times.js';

export interface StatusOptions {
  readonly broker: BrokerPort;
  readonly configuration: ConfigurationPort;
  readonly clock: Clock;
  readonly version: string;
  readonly startedAt: MonotonicMs;
}

export interface StatusJson {
  readonly version: string;
  readonly started_at: string;
  readonly uptime_s: number;
  readonly policy: string;
  readonly state: 'starting' | 'ready' | 'draining';
  readonly config: { readonly file: string | null; readonly loaded_at: string; readonly error: string | null };
  readonly gpu: GpuJson & { readonly reserve_mib: number };
  readonly scheduler: {
    readonly queue_depth: number;
    readonly in_flight: number;
    readonly total_jobs: number;
    readonly last_wait_ms: number | null;
    readonly last_run_ms: number | null;
    readonly oldest_queued: string | null;
    readonly evictions: number;
    readonly loads: number;
  };
  readonly consumers: Readonly<Record<string, ConsumerJson>>;
  readonly jobs: readonly JobJson[];
  readonly jobs_omitted: number;
}

const SHOWN_WAITING = 100;
/** By then every first probe has had its time; a consumer that is added later makes nothing start again. */
const STARTING_AT_MOST_MS = 15_000;

export function createStatusRoutes(options: StatusOptions): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/status',
      needs: 'ask',
      handler: (exchange) => sendJson(exchange, 200, statusJson(options)),
    },
  ];
}

export function statusJson(options: StatusOptions): StatusJson {
  const { clock, startedAt } = options;
  const snapshot = options.broker.snapshot();
  const configuration = options.configuration.current();
  const now = clock.now();
  return {
    version: options.version,
    started_at: isoTime(clock, startedAt),
    uptime_s: Math.floor((now - startedAt) / 1000),
    policy: snapshot.policy,
    state: stateOf(snapshot, now - startedAt),
    config: {
      file: configuration.file,
      loaded_at: new Date(options.configuration.loadedAt()).toISOString(),
      error: options.configuration.error(),
    },
    gpu: {
      ...gpuJson(
        {
          reading: snapshot.reading,
          error: snapshot.readingError,
          askedSource: configuration.gpu.source,
          ledger: snapshot.cards,
        },
        now,
      ),
      reserve_mib: configuration.gpu.reserveMib,
    },
    scheduler: schedulerJson(snapshot, clock),
    consumers: consumersJson(snapshot, configuration, clock),
    ...liveJobs(snapshot, SHOWN_WAITING, (job) => jobJson(job, now, clock)),
  };
}

/** All that run and the first `most` of those that wait, each `shown` its way. */
export function liveJobs<Shown>(
  snapshot: Snapshot,
  most: number,
  shown: (job: JobView) => Shown,
): { readonly jobs: Shown[]; readonly jobs_omitted: number } {
  const jobs: Shown[] = [];
  let waiting = 0;
  for (const job of snapshot.jobs()) {
    if (job.state === 'waiting') {
      if (waiting === most) break;
      waiting += 1;
    }
    jobs.push(shown(job));
  }
  return { jobs, jobs_omitted: Math.max(0, snapshot.queueDepth - waiting) };
}

function stateOf(snapshot: Snapshot, uptimeMs: number): StatusJson['state'] {
  if (snapshot.state === 'draining') return 'draining';
  const unprobed = snapshot.consumers.some(({ health, checkedAt }) => health === 'unknown' && checkedAt === null);
  return unprobed && uptimeMs < STARTING_AT_MOST_MS ? 'starting' : 'ready';
}

function schedulerJson(snapshot: Snapshot, clock: Clock): StatusJson['scheduler'] {
  return {
    queue_depth: snapshot.queueDepth,
    in_flight: snapshot.inFlight,
    total_jobs: snapshot.totalJobs,
    last_wait_ms: wholeMsOrNull(snapshot.lastWaitMs),
    last_run_ms: wholeMsOrNull(snapshot.lastRunMs),
    oldest_queued: isoTimeOrNull(clock, snapshot.oldestQueuedAt),
    evictions: snapshot.evictions,
    loads: snapshot.loads,
  };
}

/** `fromEntries` makes own properties of any name, `__proto__` too. */
function consumersJson(snapshot: Snapshot, configuration: Configuration, clock: Clock): Record<string, ConsumerJson> {
  const entries: [string, ConsumerJson][] = [];
  for (const known of snapshot.consumers) {
    const configured = configuration.consumers.get(known.id);
    // In the middle of a reload the two can differ for one step.
    if (configured !== undefined) entries.push([known.id, consumerJson(known, configured, clock)]);
  }
  return Object.fromEntries(entries);
}
