/** The one state of the broker. Written by `broker.ts` and the functions it calls, read by `snapshot.ts`; nobody else. */
import type { JobRecord } from './job-record.js';
import { type BrokerMemory, type LearnedMib, type LearnedTarget, NO_MEMORY } from './memory.js';
import type { Operation } from './operations.js';
import { WaitingQueue } from './queue.js';
import type { ConsumerSettings, Settings } from './settings.js';
import { RunTimes } from './statistics.js';
import { TransientMap } from './transient-map.js';
import {
  type ConsumerId,
  consumerId,
  type GpuReading,
  type Health,
  type JobId,
  type MonotonicMs,
  type Residency,
  type Target,
  targetName,
  targetOfName,
} from './vocabulary.js';

export type { Aside, JobPhase, JobRecord } from './job-record.js';

/** The same quantity by two measures that must not be mixed, MiB; null: that measure says nothing. */
export interface Amounts {
  /** What the consumer's processes hold. */
  readonly processMib: number | null;
  /** What is used on its cards, by whomever. */
  readonly cardsMib: number | null;
}

export const NO_AMOUNTS: Amounts = { processMib: null, cardsMib: null };

/** What must be in VRAM, and where it stands. Only `residency.ts` moves one. */
export interface TargetState {
  readonly target: Target;
  readonly name: string;
  residency: Residency;
  since: MonotonicMs;
  lastUsedAt: MonotonicMs | null;
  pinnedByOperator: boolean;
  /** While loading: from when on a reading shows the load (first byte, end of the load call); null: not yet. */
  loadSeenAt: MonotonicMs | null;
  loadBeganAt: MonotonicMs | null;
  /** Before the load, for what grew. */
  beforeLoad: Amounts;
  /** While a grant is out: the most in a reading. */
  peak: Amounts;
  /** In how many readings it was looked at during that run. */
  looks: number;
  runsObserved: number;
  /** What the consumer itself says of the size. */
  reportedMib: number | null;
  /** A first guess, from the size of its file. */
  guessedMib: number | null;
  failures: number;
  coolUntil: MonotonicMs | null;
  stuckTries: number;
  retryAt: MonotonicMs | null;
}

/** VRAM promised to a load or a run that the readings do not show yet, on one card. */
export interface Claim {
  readonly card: number;
  readonly target: string;
  readonly consumer: ConsumerId;
  readonly kind: 'load' | 'run';
  readonly jobId: JobId | null;
  readonly mib: number;
  /** What its consumer held on the card when the claim was entered; null: not known. */
  baseMib: number | null;
  /** A load that failed, a run that is over: the claim falls with the first reading that began after this. */
  endsWithReadingAfter: MonotonicMs | null;
}

/** Something an operator asked for that needs the card. Served before the queue. */
export interface Errand {
  readonly kind: 'load' | 'evict';
  readonly target: Target;
  readonly request: number;
  readonly askedAt: MonotonicMs;
  readonly deadline: MonotonicMs | null;
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
  /** Work that is not ours, as it last said; null: its kind cannot say, or it did not answer. */
  foreignWork: number | null;
  foreignSince: MonotonicMs | null;
  /** When the newest question to it began whose answer came, of any kind. */
  askedAt: MonotonicMs | null;
  /** When a question of ours went out that is not answered yet; null: none is open. */
  askingSince: MonotonicMs | null;
  parked: boolean;
  /** While parked: a good probe that began before this may have met the process that is being stopped. */
  parkedAt: MonotonicMs;
  /** A file of it was read through us. */
  lastReadAt: MonotonicMs | null;
  /** Its processes were seen in the list at least once: an empty share then means no memory, not no knowledge. */
  everAttributed: boolean;
}

export interface BrokerState {
  settings: Settings;
  mode: 'ready' | 'draining' | 'shutting_down';
  /** Every job that has not ended, and those that wind down. */
  readonly jobs: TransientMap<JobId, JobRecord>;
  readonly queue: WaitingQueue<JobRecord>;
  takingIn: number;
  /** Jobs whose grant is out, oldest grant first. */
  readonly grants: TransientMap<JobId, JobRecord>;
  /** Consumers in force; a removed one is gone from here even while its last job runs. */
  readonly consumers: Map<ConsumerId, ConsumerState>;
  reading: GpuReading | null;
  readingError: string | null;
  /** When the newest reading that said something of every card's memory was taken. */
  figuresAt: MonotonicMs;
  /** Counts the readings applied. */
  readingSerial: number;
  measuring: boolean;
  /** When a measurement last ended without a reading. */
  measureFailedAt: MonotonicMs | null;
  /** The last total of each card that a reading showed. */
  readonly totals: Map<number, number>;
  readonly targets: Map<string, TargetState>;
  claims: Claim[];
  /** The one load, unload, start or stop under way. */
  operation: Operation | null;
  /** The job that has taken the lock and for which room is being made. */
  turn: { readonly jobId: JobId; readonly takenAt: MonotonicMs } | null;
  errands: Errand[];
  /** By name of target. */
  readonly learned: Map<string, LearnedTarget>;
  readonly residues: Map<ConsumerId, LearnedMib>;
  /** When something of ours last changed what is on a card: readings from before do not show it. */
  memoryChangedAt: MonotonicMs;
  loads: number;
  evictions: number;
  outOfMemories: number;
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
    foreignWork: null,
    foreignSince: null,
    askedAt: null,
    askingSince: null,
    parked: false,
    parkedAt: 0,
    lastReadAt: null,
    everAttributed: false,
  };
}

export function newTargetState(target: Target, now: MonotonicMs): TargetState {
  return {
    target,
    name: targetName(target),
    residency: 'unknown',
    since: now,
    lastUsedAt: null,
    pinnedByOperator: false,
    loadSeenAt: null,
    loadBeganAt: null,
    beforeLoad: NO_AMOUNTS,
    peak: NO_AMOUNTS,
    looks: 0,
    runsObserved: 0,
    reportedMib: null,
    guessedMib: null,
    failures: 0,
    coolUntil: null,
    stuckTries: 0,
    retryAt: null,
  };
}

/** The daemon before may have been killed while it was stopping a unit, which goes on being stopped. */
const LONGEST_STOP_MS = 20_000;

export function newBrokerState(settings: Settings, now: MonotonicMs, memory: BrokerMemory = NO_MEMORY): BrokerState {
  const state = emptyState(settings, now);
  for (const id of memory.parked) {
    const consumer = state.consumers.get(id);
    if (consumer === undefined) continue;
    consumer.parked = true;
    consumer.parkedAt = now + LONGEST_STOP_MS;
  }
  for (const [name, learned] of Object.entries(memory.targets)) state.learned.set(name, learned);
  for (const [id, residue] of Object.entries(memory.residues)) state.residues.set(consumerId(id), residue);
  for (const consumer of state.consumers.values()) addOwnTarget(state, consumer, now);
  for (const name of memory.pinned) {
    // Also where its consumer is not in the configuration: it is pinned when that comes back.
    const known = state.targets.get(name) ?? newTargetState(targetOfName(name), now);
    known.pinnedByOperator = true;
    state.targets.set(name, known);
  }
  return state;
}

/** A consumer whose models do not swap is one target from the start. */
export function addOwnTarget(state: BrokerState, consumer: ConsumerState, now: MonotonicMs): void {
  if (consumer.settings.swaps === 'models' || state.targets.has(consumer.id)) return;
  const target = newTargetState({ consumer: consumer.id, model: null }, now);
  if (consumer.parked) target.residency = 'parked';
  state.targets.set(target.name, target);
}

function emptyState(settings: Settings, now: MonotonicMs): BrokerState {
  return {
    settings,
    mode: 'ready',
    jobs: new TransientMap(),
    queue: new WaitingQueue(),
    takingIn: 0,
    grants: new TransientMap(),
    consumers: new Map([...settings.consumers].map(([id, consumer]) => [id, newConsumerState(consumer)])),
    reading: null,
    readingError: null,
    figuresAt: -Infinity,
    readingSerial: 0,
    measuring: false,
    measureFailedAt: null,
    totals: new Map(),
    targets: new Map(),
    claims: [],
    operation: null,
    turn: null,
    errands: [],
    learned: new Map(),
    residues: new Map(),
    memoryChangedAt: now,
    loads: 0,
    evictions: 0,
    outOfMemories: 0,
    totalJobs: 0,
    lastWaitMs: null,
    lastRunMs: null,
    idleSince: now,
    strayEvents: 0,
    now,
  };
}
