/**
 * `step(state, event, now)`: all decisions, made by one synchronous, pure function. It reads no clock, does no I/O,
 * logs nothing; it is the only writer of the state, has one owner (the loop), and never throws for any event in any
 * state. An event for a job that has ended already is counted and ignored.
 */
import { announce } from './admission.js';
import { applyAnswer } from './answers.js';
import type { Command } from './commands.js';
import { endOverdueErrands, serveErrand } from './errands.js';
import type { CoreEvent, EventOf, EventType } from './events.js';
import { applyProbe } from './health.js';
import { endJob, findJob, grantJob, noteReason, outcomeOf, releaseGrant, type Step, stopJob, tellJob } from './jobs.js';
import { advanceLoad, loadEnded, loadWakeAt, unitStarted } from './loads.js';
import { obeyOperator } from './operator.js';
import { countOutOfMemory, seeOutOfMemory } from './out-of-memory.js';
import { policyOf } from './policies/registry.js';
import { applyReading } from './readings.js';
import { applySettings } from './reconfigure.js';
import { targetStateOf, targetsOf } from './residency.js';
import type { BrokerState, JobRecord } from './state.js';
import { endHopeless, grantOn, healStuck, startStopped, takeTurns, turnsWakeAt } from './turns.js';
import { advanceUnload, unitStopped, unloadEnded, unloadWakeAt } from './unloads.js';
import { type GpuReading, JOB_CLASSES, type MonotonicMs } from './vocabulary.js';
import { reasonOf } from './waiting.js';
import { closeLookWakeAt, watchClosely } from './watching.js';

export interface StepResult {
  readonly commands: readonly Command[];
  /** The next time at which the core wants a `Ticked`; null: only when something happens. */
  readonly wakeAt: MonotonicMs | null;
}

/** Does not compile while an event has no handler. */
type EventHandlers = { readonly [T in EventType]: (step: Step, event: EventOf<T>) => void };

export function step(state: BrokerState, event: CoreEvent, now: MonotonicMs): StepResult {
  // A clock that goes back (suspend, a bad source) must not make waits negative.
  state.now = Math.max(state.now, now);
  const working: Step = { state, now: state.now, commands: [] };
  const newReading = event.type === 'CardMeasured' ? applyReading(working, event.reading, event.error) : null;
  dispatch(working, event);
  advanceOperation(working, newReading);
  endOverdue(working);
  endHopeless(working);
  endOverdueErrands(working);
  const policy = policyOf(state.settings.policy);
  const holder = state.grants.keys().next().value;
  if (policy.locks) takeTurns(working, policy.makesRoom);
  else grantAll(working);
  watchClosely(working, policy.makesRoom);
  if (state.grants.keys().next().value !== holder) noteReasons(working);
  return { commands: working.commands, wakeAt: wakeAtOf(state, policy.makesRoom) };
}

/** What the time or a new reading decides about the operation under way. */
function advanceOperation(working: Step, newReading: GpuReading | null): void {
  const { operation } = working.state;
  if (operation === null) return;
  if (operation.kind === 'unload') advanceUnload(working, operation, newReading);
  else advanceLoad(working, operation, newReading);
}

/** Somebody else has the card: everybody who waits has a new reason. */
function noteReasons(working: Step): void {
  for (const job of working.state.queue) {
    const reason = reasonOf(working.state, job);
    if (reason !== null) noteReason(job, reason, working.now);
  }
}

function dispatch<T extends EventType>(working: Step, event: EventOf<T>): void {
  const handler = HANDLERS[event.type] as (step: Step, event: EventOf<T>) => void;
  handler(working, event);
}

const HANDLERS: EventHandlers = {
  JobAnnounced: announce,

  JobArrived(working, { jobId, model, usesCard, guessMib, class: jobClass }) {
    const job = findJob(working, jobId);
    if (job?.phase !== 'taking_in') return;
    working.state.takingIn -= 1;
    job.phase = 'waiting';
    job.model = model;
    job.class = jobClass ?? job.class;
    job.queuedAt = working.now;
    if (usesCard === false) {
      job.usesCard = false;
      grantJob(working, job);
      return;
    }
    if (guessMib !== undefined) targetStateOf(working.state, { consumer: job.consumer, model }).guessedMib = guessMib;
    working.state.queue.push(job);
    tellJob(working, job, 'queued');
    const reason = reasonOf(working.state, job);
    if (reason !== null) noteReason(job, reason, working.now);
  },

  ClientLeft(working, { jobId }) {
    const job = findJob(working, jobId);
    // Once the answer is out, the client's leaving changes nothing.
    if (job === null || job.outcome !== null || job.answered) return;
    stopJob(working, job, outcomeOf('cancelled', 'cancelled', 'the client left before its answer was complete'));
  },

  FirstByteSeen(working, { jobId }) {
    const job = findJob(working, jobId);
    if (job?.phase !== 'running') return;
    job.firstByteAt ??= working.now;
    const target = targetStateOf(working.state, { consumer: job.consumer, model: job.model });
    if (target.residency === 'loading') target.loadSeenAt ??= working.now;
  },

  AnswerSent(working, { jobId }) {
    const job = findJob(working, jobId);
    if (job?.phase !== 'running') return;
    job.answered = true;
    // An answer that comes before the work says nothing of a load.
    const target = targetStateOf(working.state, { consumer: job.consumer, model: job.model });
    if (target.residency === 'loading') target.loadSeenAt = null;
    tellJob(working, job, 'answered');
  },

  JobEnded(working, { jobId, outcome, workOver }) {
    const job = findJob(working, jobId);
    if (job === null) return;
    if (outcome.code === 'gpu_out_of_memory') countOutOfMemory(working, job, outcome.message ?? 'out of memory', false);
    if (job.outcome === null) endJob(working, job, outcome, workOver);
    else if (workOver) releaseGrant(working, job);
  },

  WorkEnded(working, { jobId }) {
    const job = findJob(working, jobId);
    if (job?.phase === 'winding_down') releaseGrant(working, job);
  },

  ProbeEnded: applyProbe,

  /** `step` applies it before all else: an operation may wait for it. */
  CardMeasured() {},

  LoadEnded: (working, { target, error }) => loadEnded(working, target, error),
  UnloadEnded: (working, { target, error }) => unloadEnded(working, target, error),
  UnitStarted: (working, { consumer, error }) => unitStarted(working, consumer, error),
  UnitStopped: (working, { consumer, error }) => unitStopped(working, consumer, error),
  ConsumerAsked: applyAnswer,
  OutOfMemorySeen: seeOutOfMemory,

  ConsumerRead(working, { consumer: id }) {
    const consumer = working.state.consumers.get(id);
    if (consumer === undefined) return;
    consumer.lastReadAt = working.now;
    for (const target of targetsOf(working.state, consumer)) target.lastUsedAt = working.now;
  },

  ConfigApplied: applySettings,

  OperatorAsked: obeyOperator,

  Ticked() {},
};

function deadlineOf(state: BrokerState, job: JobRecord): MonotonicMs | null {
  const limitMs = state.settings.queueTimeoutMs[job.class];
  return limitMs === null || job.queuedAt === null ? null : job.queuedAt + limitMs;
}

/** Of each class those who may be the first to reach their limit: whoever is tried again stands before older ones. */
function* longestWaiting(state: BrokerState): Generator<JobRecord> {
  for (const jobClass of JOB_CLASSES) {
    for (const job of state.queue.ofClass(jobClass)) {
      yield job;
      if (!job.triedAgain && job.phase === 'waiting') break;
    }
  }
}

function endOverdue(working: Step): void {
  const { state, now } = working;
  if (state.queue.size === 0) return;
  for (const job of longestWaiting(state)) {
    const deadline = deadlineOf(state, job);
    if (deadline === null || now < deadline) continue;
    const waitedS = Math.round((now - (job.queuedAt ?? now)) / 1000);
    const text = `waited ${waitedS} s for the card and reached queue.timeout for class ${job.class}`;
    stopJob(working, job, outcomeOf('timed_out', 'queue_timeout', text));
  }
}

function grantAll(working: Step): void {
  const { state } = working;
  for (const job of [...state.queue]) {
    const consumer = state.consumers.get(job.consumer);
    // Before the first probe a job waits for it, and holds up nobody else.
    if (consumer === undefined) continue;
    if (consumer.health === 'up') grantOn(working, job, consumer, false);
    else startStopped(working, job, consumer);
  }
  for (let rounds = state.errands.length; rounds > 0; rounds--) if (serveErrand(working)) break;
  healStuck(working);
}

function wakeAtOf(state: BrokerState, makesRoom: boolean): MonotonicMs | null {
  const { operation } = state;
  const operationAt =
    operation === null ? null : operation.kind === 'unload' ? unloadWakeAt(state, operation) : loadWakeAt(operation);
  const earliest = Math.min(
    nextDeadline(state) ?? Infinity,
    operationAt ?? Infinity,
    turnsWakeAt(state) ?? Infinity,
    closeLookWakeAt(state, makesRoom) ?? Infinity,
  );
  return earliest === Infinity ? null : earliest;
}

function nextDeadline(state: BrokerState): MonotonicMs | null {
  if (state.queue.size === 0) return null;
  let earliest = Infinity;
  for (const job of longestWaiting(state)) earliest = Math.min(earliest, deadlineOf(state, job) ?? Infinity);
  return earliest === Infinity ? null : earliest;
}
