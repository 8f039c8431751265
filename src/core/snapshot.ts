/** A read-only view of the broker's state for the control plane. Copies what it shows; owns nothing. */
import type { JobView } from './facts.js';
import type { ConsumerId, GpuReading, Health, JobId, MonotonicMs, PolicyName, Residency } from './vocabulary.js';

export interface ConsumerSnapshot {
  readonly id: ConsumerId;
  readonly health: Health;
  readonly healthError: string | null;
  readonly checkedAt: MonotonicMs | null;
  readonly residency: Residency;
  /** Jobs running now, not ended. */
  readonly active: number;
  readonly queued: number;
  readonly totalRequests: number;
  readonly failedRequests: number;
  readonly lastUsedAt: MonotonicMs | null;
  readonly runP50Ms: number | null;
  readonly runP95Ms: number | null;
}

export interface Snapshot {
  readonly at: MonotonicMs;
  readonly policy: PolicyName;
  readonly state: 'ready' | 'draining';
  /** Jobs not begun, bodies still coming in included. */
  readonly queueDepth: number;
  /** Grants out, jobs that were broken off and whose work goes on included. */
  readonly inFlight: number;
  readonly totalJobs: number;
  readonly lastWaitMs: number | null;
  readonly lastRunMs: number | null;
  readonly oldestQueuedAt: MonotonicMs | null;
  readonly evictions: number;
  readonly loads: number;
  readonly consumers: readonly ConsumerSnapshot[];
  /** All that run, then those that wait, first come first. Lazily: the caller takes as many as it shows. */
  readonly jobs: () => IterableIterator<JobView>;
  readonly job: (id: JobId) => JobView | null;
  readonly reading: GpuReading | null;
  readonly readingError: string | null;
  /** Since when a job that could be granted has been standing; null: none. Must never be for long (`/healthz`). */
  readonly stalledSince: MonotonicMs | null;
}
