/** The one state of the broker. Written by `broker.ts` and the functions it calls, read by `snapshot.ts`; nobody else. */
import { WaitingQueue } from './queue.js';
import type { ConsumerSettings, Settings } from './settings.js';
import { RunTimes } from './statistics.js';
import type {
  Capability,
  ConsumerId,
  GpuReading,
  Health,
  JobClass,
  JobId,
  JobOutcome,
  MonotonicMs,
  WaitReason,
} from './vocabulary.js';

/**
 * `taking_in`: its body comes; `waiting`: for its grant; `running`: granted; `winding_down`: it has ended, but its
 * work on the card goes on and the grant is still out.
 */
export type JobPhase = 'taking_in' | 'waiting' | 'running' | 'winding_down';

export interface JobRecord {
  readonly id: JobId;
  readonly consumer: ConsumerId;
  readonly capability: Capability | null;
  readonly class: JobClass;
  readonly client: string;
  model: string | null;
  phase: JobPhase;
  /** Its headers came. */
  readonly announcedAt: MonotonicMs;
  /** Its body was complete: from here it waits for its grant. */
  queuedAt: MonotonicMs | null;
  grantedAt: MonotonicMs | null;
  firstByteAt: MonotonicMs | null;
  endedAt: MonotonicMs | null;
  answered: boolean;
  outcome: JobOutcome | null;
  readonly reasons: { readonly at: MonotonicMs; readonly reason: WaitReason }[];
}

export interface ConsumerState {
  readonly id: ConsumerId;
  settings: ConsumerSettings;
  health: Health;
  healthError: string | null;
  checkedAt: MonotonicMs | null;
  /** Jobs of this consumer whose grant is out. */
  readonly grants: Set<JobId>;
  /** When its last grant came back: a probe that began before proves nothing by timing out. */
  lastGrantOverAt: MonotonicMs | null;
  lastUsedAt: MonotonicMs | null;
  totalRequests: number;
  failedRequests: number;
  readonly runTimes: RunTimes;
}

export interface BrokerState {
  settings: Settings;
  mode: 'ready' | 'draining' | 'shutting_down';
  /** Every job that has not ended, and those that wind down. */
  readonly jobs: Map<JobId, JobRecord>;
  readonly queue: WaitingQueue<JobRecord>;
  takingIn: number;
  /** Jobs whose grant is out, oldest grant first. */
  readonly grants: Map<JobId, JobRecord>;
  /** Consumers in force; a removed one is gone from here even while its last job runs. */
  readonly consumers: Map<ConsumerId, ConsumerState>;
  reading: GpuReading | null;
  readingError: string | null;
  totalJobs: number;
  lastWaitMs: number | null;
  lastRunMs: number | null;
  /** Since when no grant has been out. */
  idleSince: MonotonicMs;
  /** Events that came for a job that had ended already: must stay near 0, shown for diagnosis. */
  strayEvents: number;
  /** The latest `now` of any step: time never goes back in here. */
  now: MonotonicMs;
}

export function newConsumerState(settings: ConsumerSettings): ConsumerState {
  return {
    id: settings.id,
    settings,
    health: 'unknown',
    healthError: null,
    checkedAt: null,
    grants: new Set(),
    lastGrantOverAt: null,
    lastUsedAt: null,
    totalRequests: 0,
    failedRequests: 0,
    runTimes: new RunTimes(),
  };
}

export function newBrokerState(settings: Settings, now: MonotonicMs): BrokerState {
  return {
    settings,
    mode: 'ready',
    jobs: new Map(),
    queue: new WaitingQueue(),
    takingIn: 0,
    grants: new Map(),
    consumers: new Map([...settings.consumers].map(([id, consumer]) => [id, newConsumerState(consumer)])),
    reading: null,
    readingError: null,
    totalJobs: 0,
    lastWaitMs: null,
    lastRunMs: null,
    idleSince: now,
    strayEvents: 0,
    now,
  };
}
