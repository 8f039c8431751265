/** A broker that stands still: a snapshot the test lays down, events kept as they were posted, a clock by hand. */
import type { CoreEvent } from '../../src/core/events.js';
import type { JobView } from '../../src/core/facts.js';
import type { ConsumerSnapshot, Intake, Snapshot } from '../../src/core/snapshot.js';
import { consumerId, jobId } from '../../src/core/vocabulary.js';
import type { BrokerPort, Clock } from '../../src/runtime/ports.js';

/** 2026-11-25T08:00:00Z stands at 1000 on the monotonic clock. */
const WALL_AT_ZERO = Date.UTC(2026, 10, 25, 8, 0, 0) - 1000;

export class HandClock implements Clock {
  nowMs = 13_000;

  now(): number {
    return this.nowMs;
  }

  wallOf(at: number): number {
    return WALL_AT_ZERO + at;
  }
}

export function sampleJob(name: string, changes: Partial<JobView> = {}): JobView {
  return {
    id: jobId(name),
    consumer: consumerId('mvoice'),
    model: null,
    capability: 'tts',
    class: 'interactive',
    client: '127.0.0.1',
    state: 'waiting',
    answered: false,
    queuedAt: 4000,
    grantedAt: null,
    firstByteAt: null,
    endedAt: null,
    position: 1,
    expectedWaitMs: null,
    reason: { code: 'taking_in' },
    reasons: [],
    outcome: null,
    ...changes,
  };
}

export function sampleConsumerSnapshot(name: string, changes: Partial<ConsumerSnapshot> = {}): ConsumerSnapshot {
  return {
    id: consumerId(name),
    health: 'up',
    healthError: null,
    checkedAt: 12_000,
    residency: 'unknown',
    active: 0,
    queued: 0,
    totalRequests: 0,
    failedRequests: 0,
    lastUsedAt: null,
    runP50Ms: null,
    runP95Ms: null,
    targets: [],
    heldMib: null,
    foreignWork: null,
    ...changes,
  };
}

export class StillBroker implements BrokerPort {
  readonly posted: CoreEvent[] = [];
  readonly clock = new HandClock();
  /** All that run, then those that wait. */
  jobs: JobView[] = [];
  state: Partial<Snapshot> = {};
  turnedAt = 13_000;
  onPost: (event: CoreEvent) => void = () => {};

  post(event: CoreEvent): void {
    this.posted.push(event);
    this.onPost(event);
  }

  intake(): Intake {
    return this.snapshot();
  }

  snapshot(): Snapshot {
    return {
      at: this.clock.nowMs,
      policy: 'locked',
      state: 'ready',
      queueDepth: this.jobs.filter((job) => job.state === 'waiting').length,
      inFlight: this.jobs.filter((job) => job.state === 'running').length,
      totalJobs: 0,
      lastWaitMs: null,
      lastRunMs: null,
      oldestQueuedAt: null,
      evictions: 0,
      loads: 0,
      outOfMemories: 0,
      cards: [],
      consumers: [sampleConsumerSnapshot('mvoice')],
      jobs: () => this.jobs.values(),
      job: (id) => this.jobs.find((job) => job.id === id) ?? null,
      reading: null,
      readingError: null,
      stalledSince: null,
      ...this.state,
    };
  }

  lastTurnAt(): number {
    return this.turnedAt;
  }
}
