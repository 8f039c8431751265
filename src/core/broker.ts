/**
 * `step(state, event, now)`: all decisions, made by one synchronous, pure function. It reads no clock, does no I/O,
 * logs nothing; it is the only writer of the state, has one owner (the loop), and never throws for any event in any
 * state. An event for a job that has ended already is counted and ignored.
 */
import type { Command } from './commands.js';
import { describeDown } from './describe.js';
import type { CoreEvent, EventType, OperatorAction } from './events.js';
import { endJob, grantJob, noteReason, releaseGrant, type Step, tellJob } from './jobs.js';
import { policyOf } from './policies/registry.js';
import { type BrokerState, type ConsumerState, type JobRecord, newConsumerState } from './state.js';
import {
  type ConsumerId,
  JOB_CLASSES,
  type JobEnd,
  type JobId,
  type JobOutcome,
  type MonotonicMs,
} from './vocabulary.js';
import { reasonOf } from './waiting.js';

export interface StepResult {
  readonly commands: readonly Command[];
  /** The next time at which the core wants a `Ticked`; null: only when something happens. */
  readonly wakeAt: MonotonicMs | null;
}

type EventOf<T extends EventType> = Extract<CoreEvent, { readonly type: T }>;
/** Does not compile while an event has no handler. */
type EventHandlers = { readonly [T in EventType]: (step: Step, event: EventOf<T>) => void };

export function step(state: BrokerState, event: CoreEvent, now: MonotonicMs): StepResult {
  // A clock that goes back (suspend, a bad source) must not make waits negative.
  state.now = Math.max(state.now, now);
  const working: Step = { state, now: state.now, commands: [] };
  dispatch(working, event);
  endOverdue(working);
  grantWhatCan(working);
  return { commands: working.commands, wakeAt: nextDeadline(state) };
}

function dispatch<T extends EventType>(working: Step, event: EventOf<T>): void {
  const handler = HANDLERS[event.type] as (step: Step, event: EventOf<T>) => void;
  handler(working, event);
}

const HANDLERS: EventHandlers = {
  JobAnnounced: announce,

  JobArrived(working, { jobId, model }) {
    const job = find(working, jobId);
    if (job?.phase !== 'taking_in') return;
    working.state.takingIn -= 1;
    job.phase = 'waiting';
    job.model = model;
    job.queuedAt = working.now;
    working.state.queue.push(job);
    tellJob(working, job, 'queued');
    const reason = reasonOf(working.state, job);
    if (reason !== null) noteReason(job, reason, working.now);
  },

  ClientLeft(working, { jobId }) {
    const job = find(working, jobId);
    // Once the answer is out, the client's leaving changes nothing.
    if (job === null || job.outcome !== null || job.answered) return;
    stopJob(working, job, outcomeOf('cancelled', 'cancelled', 'the client left before its answer was complete'));
  },

  FirstByteSeen(working, { jobId }) {
    const job = find(working, jobId);
    if (job?.phase === 'running') job.firstByteAt ??= working.now;
  },

  AnswerSent(working, { jobId }) {
    const job = find(working, jobId);
    if (job?.phase !== 'running') return;
    job.answered = true;
    tellJob(working, job, 'answered');
  },

  JobEnded(working, { jobId, outcome, workOver }) {
    const job = find(working, jobId);
    if (job === null) return;
    if (job.outcome === null) endJob(working, job, outcome, workOver);
    else if (workOver) releaseGrant(working, job);
  },

  WorkEnded(working, { jobId }) {
    const job = find(working, jobId);
    if (job?.phase === 'winding_down') releaseGrant(working, job);
  },

  ProbeEnded: applyProbe,

  CardMeasured(working, { reading, error }) {
    if (reading !== null) working.state.reading = reading;
    working.state.readingError = error;
    working.commands.push({ type: 'RecordFact', fact: { type: 'gpu', reading, error } });
  },

  ConfigApplied: applySettings,

  OperatorAsked(working, { action, by }) {
    working.commands.push({ type: 'RecordFact', fact: { type: 'operator', action: nameOf(action), by } });
    obey(working, action, by);
  },

  Ticked() {},
};

/** An event for a job that is not there (any more) is counted: two ends, an end after a cancel, a late first byte. */
function find(working: Step, id: JobId): JobRecord | null {
  const job = working.state.jobs.get(id);
  if (job === undefined) working.state.strayEvents += 1;
  return job ?? null;
}

function outcomeOf(end: JobEnd, code: string, message: string): JobOutcome {
  return { end, code, message };
}

function announce(working: Step, { job: announced }: EventOf<'JobAnnounced'>): void {
  const { state, now } = working;
  if (state.jobs.has(announced.id)) {
    state.strayEvents += 1;
    return;
  }
  const job: JobRecord = {
    ...announced,
    model: null,
    phase: 'taking_in',
    announcedAt: now,
    queuedAt: null,
    grantedAt: null,
    firstByteAt: null,
    endedAt: null,
    answered: false,
    outcome: null,
    reasons: [],
  };
  state.jobs.set(job.id, job);
  state.takingIn += 1;
  const refusal = refusalOf(state, announced.consumer);
  if (refusal !== null) {
    stopJob(working, job, refusal);
    return;
  }
  tellJob(working, job, 'announced');
  working.commands.push({ type: 'AdmitJob', jobId: job.id });
}

function refusalOf(state: BrokerState, id: ConsumerId): JobOutcome | null {
  const consumer = state.consumers.get(id);
  if (state.mode !== 'ready') {
    return outcomeOf('refused', 'draining', 'the broker takes no new jobs: it is draining; try again when it is back');
  }
  if (consumer === undefined) {
    return outcomeOf('refused', 'consumer_removed', `${id} is not in the configuration any more`);
  }
  if (consumer.health === 'down') return outcomeOf('refused', 'consumer_down', describeDown(consumer, state.now));
  // The announced job itself is counted already.
  const notBegun = state.queue.size + state.takingIn - 1;
  if (notBegun >= state.settings.queueMax) {
    const text = `overloaded: ${notBegun} jobs wait already, queue.max is ${state.settings.queueMax}; try again later`;
    return outcomeOf('refused', 'queue_full', text);
  }
  return null;
}

/** Ends a job from our side, wherever it is: before its grant it is refused, after it its consumer is broken off. */
function stopJob(working: Step, job: JobRecord, outcome: JobOutcome): void {
  const granted = job.grantedAt !== null;
  endJob(working, job, outcome, false);
  working.commands.push({ type: granted ? 'AbortJob' : 'RefuseJob', jobId: job.id, outcome });
}

function applyProbe(working: Step, event: EventOf<'ProbeEnded'>): void {
  const consumer = working.state.consumers.get(event.consumer);
  if (consumer === undefined) return;
  // A probe that timed out while the consumer worked for us, at any moment of the probe, proves nothing.
  const worked = consumer.grants.size > 0 || (consumer.lastGrantOverAt ?? -1) >= event.startedAt;
  if (event.result === 'timed_out' && worked) return;
  const health = event.result === 'good' ? 'up' : 'down';
  const changed = health !== consumer.health || event.error !== consumer.healthError;
  consumer.health = health;
  consumer.healthError = event.error;
  consumer.checkedAt = working.now;
  if (!changed) return;
  working.commands.push({
    type: 'RecordFact',
    fact: { type: 'consumer', consumer: consumer.id, health, error: event.error },
  });
  if (health === 'down') {
    refuseAllOf(working, consumer.id, outcomeOf('refused', 'consumer_down', describeDown(consumer, working.now)));
  }
}

function refuseAllOf(working: Step, id: ConsumerId, outcome: JobOutcome): void {
  for (const job of working.state.jobs.values()) {
    if (job.consumer === id && job.outcome === null && job.grantedAt === null) stopJob(working, job, outcome);
  }
}

function applySettings(working: Step, { settings }: EventOf<'ConfigApplied'>): void {
  const { state } = working;
  const removed = [...state.consumers.keys()].filter((id) => !settings.consumers.has(id));
  const added = [...settings.consumers.keys()].filter((id) => !state.consumers.has(id));
  for (const id of removed) {
    const text = `${id} was removed from the configuration while the job waited`;
    refuseAllOf(working, id, outcomeOf('refused', 'consumer_removed', text));
    state.consumers.delete(id);
  }
  for (const [id, consumer] of settings.consumers) state.consumers.set(id, renewed(state.consumers.get(id), consumer));
  state.settings = settings;
  working.commands.push({
    type: 'RecordFact',
    fact: { type: 'config', consumersAdded: added, consumersRemoved: removed },
  });
}

function renewed(known: ConsumerState | undefined, settings: ConsumerState['settings']): ConsumerState {
  if (known === undefined) return newConsumerState(settings);
  if (known.settings.endpoint !== settings.endpoint) {
    known.health = 'unknown';
    known.healthError = null;
    known.checkedAt = null;
  }
  known.settings = settings;
  return known;
}

function nameOf(action: OperatorAction): string {
  return action.kind === 'cancel' ? `cancel ${action.job}` : action.kind;
}

function obey(working: Step, action: OperatorAction, by: string): void {
  const { state } = working;
  switch (action.kind) {
    case 'cancel': {
      const job = find(working, action.job);
      if (job === null || job.outcome !== null) return;
      stopJob(working, job, outcomeOf('cancelled', 'cancelled_by_operator', `cancelled by ${by}`));
      return;
    }
    case 'drain':
      if (state.mode === 'ready') state.mode = 'draining';
      return;
    case 'resume':
      if (state.mode === 'draining') state.mode = 'ready';
      return;
    case 'shut_down': {
      state.mode = 'shutting_down';
      const outcome = outcomeOf(
        'refused',
        'draining',
        'the broker is stopping; send the request again when it is back',
      );
      for (const job of state.jobs.values()) {
        if (job.outcome === null && job.grantedAt === null) stopJob(working, job, outcome);
      }
    }
  }
}

function deadlineOf(state: BrokerState, job: JobRecord): MonotonicMs | null {
  const limitMs = state.settings.queueTimeoutMs[job.class];
  return limitMs === null || job.queuedAt === null ? null : job.queuedAt + limitMs;
}

function endOverdue(working: Step): void {
  const { state, now } = working;
  for (const jobClass of JOB_CLASSES) {
    for (let job = state.queue.oldestOf(jobClass); job !== undefined; job = state.queue.oldestOf(jobClass)) {
      const deadline = deadlineOf(state, job);
      if (deadline === null || now < deadline) break;
      const waitedS = Math.round((now - (job.queuedAt ?? now)) / 1000);
      const text = `waited ${waitedS} s for the card and reached queue.timeout for class ${jobClass}`;
      stopJob(working, job, outcomeOf('timed_out', 'queue_timeout', text));
    }
  }
}

function grantWhatCan(working: Step): void {
  const { state } = working;
  const policy = policyOf(state.settings.policy);
  let granted = false;
  for (const job of state.queue) {
    // Before the first probe a job waits for it, and holds up nobody else.
    if (state.consumers.get(job.consumer)?.health !== 'up') continue;
    if (policy.mustWait(job, state) !== null) break;
    grantJob(working, job);
    granted = true;
  }
  if (!granted) return;
  for (const job of state.queue) {
    const reason = reasonOf(state, job);
    if (reason !== null) noteReason(job, reason, working.now);
  }
}

function nextDeadline(state: BrokerState): MonotonicMs | null {
  let earliest: MonotonicMs | null = null;
  for (const job of state.queue.oldestOfClasses()) {
    const deadline = deadlineOf(state, job);
    if (deadline !== null && (earliest === null || deadline < earliest)) earliest = deadline;
  }
  return earliest;
}
