/** A read-only view of the broker's state for the control plane. Copies what it shows; owns nothing. */
import type { JobView } from './facts.js';
import { footprintOf } from './footprints.js';
import { viewOf } from './jobs.js';
import { foreignMib, headroomMib, heldByProcesses, unseenClaimsMib } from './ledger.js';
import { holdsMemory, isPinned, targetsOf } from './residency.js';
import type { BrokerState, ConsumerState, JobRecord, TargetState } from './state.js';
import type {
  ConsumerId,
  FootprintSource,
  GpuReading,
  Health,
  JobId,
  MonotonicMs,
  PolicyName,
  Residency,
  Target,
} from './vocabulary.js';
import { expectedRestMs, usualRunMs } from './waiting.js';

export interface TargetSnapshot {
  readonly target: Target;
  readonly residency: Residency;
  readonly since: MonotonicMs;
  /** MiB; null: absent or not known. */
  readonly residentMib: number | null;
  readonly source: FootprintSource | null;
  readonly runMib: number | null;
  readonly lastUsedAt: MonotonicMs | null;
  readonly pinned: boolean;
}

export interface CardSnapshot {
  readonly index: number;
  readonly foreignMib: number | null;
  /** Promised, not in the reading yet. */
  readonly claimedMib: number;
  readonly headroomMib: number | null;
}

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
  /** Sorted by name; a consumer whose models do not swap has one. */
  readonly targets: readonly TargetSnapshot[];
  /** What its processes hold now, all cards together; null: not known. */
  readonly heldMib: number | null;
  /** Work that did not come through us; null: it cannot say. */
  readonly foreignWork: number | null;
}

/** What decides about a newcomer: asked once a request, so nothing is computed for it. */
export interface Intake {
  readonly state: 'ready' | 'draining';
  /** Jobs not begun, bodies still coming in included. */
  readonly queueDepth: number;
}

export interface Snapshot extends Intake {
  readonly at: MonotonicMs;
  readonly policy: PolicyName;
  /** Grants out, jobs that were broken off and whose work goes on included. */
  readonly inFlight: number;
  readonly totalJobs: number;
  readonly lastWaitMs: number | null;
  readonly lastRunMs: number | null;
  readonly oldestQueuedAt: MonotonicMs | null;
  readonly evictions: number;
  readonly loads: number;
  readonly outOfMemories: number;
  readonly cards: readonly CardSnapshot[];
  readonly consumers: readonly ConsumerSnapshot[];
  /** All that run, then those that wait, first come first. Lazily: the caller takes as many as it shows. */
  readonly jobs: () => IterableIterator<JobView>;
  readonly job: (id: JobId) => JobView | null;
  readonly reading: GpuReading | null;
  readonly readingError: string | null;
  /** Since when a job that could be granted has been standing; null: none. Must never be for long (`/healthz`). */
  readonly stalledSince: MonotonicMs | null;
}

export const intakeOf = (state: BrokerState): Intake => ({
  state: state.mode === 'ready' ? 'ready' : 'draining',
  queueDepth: state.queue.size + state.takingIn,
});

/** The view as it is now; `jobs` and `job` read the living state and must be used before the next step. */
export function snapshotOf(state: BrokerState): Snapshot {
  return {
    at: state.now,
    policy: state.settings.policy,
    ...intakeOf(state),
    inFlight: state.grants.size,
    totalJobs: state.totalJobs,
    lastWaitMs: state.lastWaitMs,
    lastRunMs: state.lastRunMs,
    oldestQueuedAt: oldestQueuedAt(state),
    evictions: state.evictions,
    loads: state.loads,
    outOfMemories: state.outOfMemories,
    cards: cardsOf(state),
    consumers: consumersOf(state),
    jobs: () => jobViews(state),
    job: (id) => jobView(state, id),
    reading: state.reading,
    readingError: state.readingError,
    stalledSince: stalledSince(state),
  };
}

function oldestQueuedAt(state: BrokerState): MonotonicMs | null {
  // Jobs are kept in the order of their headers, so the first that has not begun is the oldest.
  for (const job of state.jobs.values()) {
    if (job.grantedAt === null) return job.announcedAt;
  }
  return null;
}

function consumersOf(state: BrokerState): ConsumerSnapshot[] {
  const active = new Map<ConsumerId, number>();
  const queued = new Map<ConsumerId, number>();
  for (const job of state.jobs.values()) {
    if (job.outcome !== null) continue;
    const counts = job.grantedAt === null ? queued : active;
    counts.set(job.consumer, (counts.get(job.consumer) ?? 0) + 1);
  }
  return [...state.consumers.values()].map((consumer) => ({
    ...lastsOf(state, consumer),
    active: active.get(consumer.id) ?? 0,
    queued: queued.get(consumer.id) ?? 0,
  }));
}

function lastsOf(state: BrokerState, consumer: ConsumerState): Omit<ConsumerSnapshot, 'active' | 'queued'> {
  return {
    id: consumer.id,
    health: consumer.health,
    healthError: consumer.healthError,
    checkedAt: consumer.checkedAt,
    residency: busiest(targetsOf(state, consumer), consumer),
    totalRequests: consumer.totalRequests,
    failedRequests: consumer.failedRequests,
    lastUsedAt: consumer.lastUsedAt,
    runP50Ms: consumer.runTimes.quantileMs(0.5),
    runP95Ms: consumer.runTimes.quantileMs(0.95),
    targets: targetsOf(state, consumer).map((target) => targetView(state, consumer, target)),
    heldMib: heldByProcesses(state, consumer.id),
    foreignWork: consumer.foreignWork,
  };
}

/** From the one that says most about what goes on to the one that says least. */
const BUSIEST_FIRST: readonly Residency[] = ['evicting', 'loading', 'stuck', 'resident', 'parked', 'unknown', 'absent'];

function busiest(targets: readonly TargetState[], consumer: ConsumerState): Residency {
  if (consumer.parked) return 'parked';
  return BUSIEST_FIRST.find((residency) => targets.some((target) => target.residency === residency)) ?? 'absent';
}

function targetView(state: BrokerState, consumer: ConsumerState, target: TargetState): TargetSnapshot {
  const footprint = footprintOf(state, target);
  const held = consumer.settings.swaps === 'consumer' ? heldByProcesses(state, consumer.id) : null;
  const shows = holdsMemory(target) || (target.residency === 'unknown' && held !== null);
  return {
    target: target.target,
    residency: target.residency,
    since: target.since,
    residentMib: shows ? (held ?? footprint.residentMib) : null,
    source: shows ? (held === null ? footprint.source : 'measured') : null,
    runMib: footprint.source === 'assumed' ? null : footprint.runMib,
    lastUsedAt: target.lastUsedAt,
    pinned: isPinned(state, target),
  };
}

function cardsOf(state: BrokerState): CardSnapshot[] {
  const indexes = new Set([...state.totals.keys()]);
  for (const consumer of state.consumers.values()) for (const card of consumer.settings.cards) indexes.add(card);
  return [...indexes]
    .sort((a, b) => a - b)
    .map((index) => ({
      index,
      foreignMib: foreignMib(state, index),
      claimedMib: unseenClaimsMib(state, index),
      headroomMib: headroomMib(state, index),
    }));
}

function* jobViews(state: BrokerState): Generator<JobView> {
  for (const job of state.jobs.values()) {
    if (job.phase === 'running') yield viewOf(state, job, null);
  }
  yield* waitingViews(state);
  for (const job of state.jobs.values()) {
    if (job.phase === 'taking_in') yield viewOf(state, job, null);
  }
}

function* waitingViews(state: BrokerState): Generator<JobView> {
  let position = 0;
  let waitMs = expectedRestMs(state);
  // The median of each consumer is asked once a snapshot, not once a job.
  const usual = new Map<ConsumerId, number | null>();
  for (const job of state.queue) {
    position += 1;
    yield viewOf(state, job, { position, expectedWaitMs: waitMs });
    if (!usual.has(job.consumer)) usual.set(job.consumer, usualRunMs(state, job));
    const runMs = usual.get(job.consumer) ?? null;
    waitMs = waitMs === null || runMs === null ? null : waitMs + runMs;
  }
}

function jobView(state: BrokerState, id: JobId): JobView | null {
  const job = state.jobs.get(id);
  if (job === undefined || job.outcome !== null) return null;
  return job.phase === 'waiting' ? waitingView(state, job) : viewOf(state, job, null);
}

function waitingView(state: BrokerState, wanted: JobRecord): JobView | null {
  for (const view of waitingViews(state)) {
    if (view.id === wanted.id) return view;
  }
  return null;
}

/** An independent look, not the policy's: somebody could run, nobody does, and nothing is under way for anybody. */
function stalledSince(state: BrokerState): MonotonicMs | null {
  if (state.grants.size > 0 || state.operation !== null) return null;
  for (const job of state.queue) {
    if (job.aside !== null || state.consumers.get(job.consumer)?.health !== 'up') continue;
    return Math.max(state.idleSince, job.queuedAt ?? state.idleSince);
  }
  return null;
}
