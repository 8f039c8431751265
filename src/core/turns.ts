/**
 * Whose turn it is: under a lock with room to make, one demand at a time is planned, and what its plan says is done.
 * A demand that nobody of ours can help is set aside, without the lock, and looked at again when that may have changed.
 */
import { claimLoad, claimRun, dropLeftOfRuns } from './claims.js';
import { serveErrand } from './errands.js';
import { askConsumer, grantJob, noteReason, type Step, stopJob } from './jobs.js';
import { amountsBeforeLoad, headroomMib, isForeignBusy } from './ledger.js';
import { startLoad } from './loads.js';
import { type Demand, FOREIGN_WORK_POLL_MS, type Verdict } from './plan.js';
import { planFor } from './planner.js';
import { move, targetStateOf, targetsOf, voidMeasures } from './residency.js';
import { canBeAsked, canBeStarted } from './startable.js';
import {
  type Aside,
  type BrokerState,
  type ConsumerState,
  type JobRecord,
  NO_AMOUNTS,
  type TargetState,
} from './state.js';
import { startUnload } from './unloads.js';
import { type MonotonicMs, targetName, type WaitReason } from './vocabulary.js';
import { carryOutQuestion } from './watching.js';

export function takeTurns(step: Step, makesRoom: boolean): void {
  const { state } = step;
  // Each round either issues something and returns, or moves one job on (granted, ended, set aside).
  for (let rounds = state.queue.size + state.errands.length + 2; rounds > 0; rounds--) {
    if (state.operation !== null || state.grants.size > 0) break;
    if (state.errands.length > 0 && state.turn === null) {
      if (serveErrand(step)) break;
      continue;
    }
    const job = nextJob(state);
    if (job === undefined) break;
    if (takeTurn(step, job, makesRoom)) break;
  }
  if (state.turn !== null && !isWaiting(state, state.turn.jobId)) state.turn = null;
  healStuck(step);
}

/** Where there is no lock: a consumer that is stopped is started for the job, and nothing more is planned. */
export function startStopped(step: Step, job: JobRecord, consumer: ConsumerState): void {
  const { state } = step;
  if (state.operation !== null || !canBeStarted(consumer) || !isDueAgain(state, job.aside)) return;
  takeTurn(step, job, false);
  state.turn = null;
}

function isWaiting(state: BrokerState, id: JobRecord['id']): boolean {
  return state.jobs.get(id)?.phase === 'waiting';
}

function nextJob(state: BrokerState): JobRecord | undefined {
  const current = state.turn === null ? undefined : state.jobs.get(state.turn.jobId);
  if (current?.phase === 'waiting') return current;
  state.turn = null;
  for (const job of state.queue) {
    if (isReady(state, job) && isDueAgain(state, job.aside)) return job;
  }
  return undefined;
}

/** Its consumer can take it: up, or one that we start ourselves. */
export function isReady(state: BrokerState, job: JobRecord): boolean {
  const consumer = state.consumers.get(job.consumer);
  return consumer !== undefined && (consumer.health === 'up' || canBeStarted(consumer));
}

function isDueAgain(state: BrokerState, aside: Aside | null): boolean {
  if (aside === null) return true;
  if (aside.retryAt !== null) return state.now >= aside.retryAt;
  return state.readingSerial > aside.readingSerial;
}

/** True: something was issued, or the lock is kept; nobody else may be planned now. */
function takeTurn(step: Step, job: JobRecord, makesRoom: boolean): boolean {
  const { state, now } = step;
  const consumer = state.consumers.get(job.consumer);
  if (consumer === undefined) return false;
  if (state.turn?.jobId !== job.id) state.turn = { jobId: job.id, takenAt: now };
  const demand: Demand = {
    target: { consumer: job.consumer, model: job.model },
    runs: true,
    alone: job.triedAgain,
    since: state.turn.takenAt,
  };
  return carryOut(step, job, consumer, planFor(state, consumer, demand, makesRoom), makesRoom);
}

function carryOut(step: Step, job: JobRecord, consumer: ConsumerState, verdict: Verdict, makesRoom: boolean): boolean {
  const { state } = step;
  const target = targetStateOf(state, { consumer: job.consumer, model: job.model });
  const asker = { jobId: job.id, request: null };
  switch (verdict.kind) {
    case 'go':
      grantOn(step, job, consumer, makesRoom);
      return true;
    case 'load':
    case 'start': {
      const needMib = [...verdict.need.values()].reduce((sum, mib) => sum + mib, 0);
      const reason = { code: 'loaded_for', job: job.id, needMib, freeMib: null } as const;
      startLoad(step, verdict.kind === 'load' ? 'load' : 'start_unit', target, consumer, asker, reason);
      return true;
    }
    case 'evict': {
      const victim = state.consumers.get(verdict.victim.target.consumer);
      if (victim === undefined) return false;
      startUnload(step, verdict.victim, victim, asker, verdict.need, evictedFor(state, job, verdict));
      return true;
    }
    case 'never':
      stopJob(step, job, { end: 'refused', code: verdict.code, message: verdict.message });
      return false;
    case 'aside':
      setAside(step, job, verdict.reason, verdict.retryAt);
      return false;
    default:
      noteReason(job, verdict.reason, step.now);
      carryOutQuestion(step, verdict);
      return true;
  }
}

function evictedFor(state: BrokerState, job: JobRecord, verdict: Extract<Verdict, { kind: 'evict' }>) {
  const used = verdict.victim.lastUsedAt;
  return {
    code: 'evicted_for',
    job: job.id,
    for: { consumer: job.consumer, model: job.model },
    needMib: [...verdict.need.values()].reduce((sum, mib) => sum + mib, 0),
    freeMib: verdict.freeMib,
    idleMs: used === null ? null : state.now - used,
  } as const;
}

/** The grant and its claims are one step: between them nothing else may be promised the same memory. */
export function grantOn(step: Step, job: JobRecord, consumer: ConsumerState, claims: boolean): void {
  const { state } = step;
  const target = targetStateOf(state, { consumer: job.consumer, model: job.model });
  const loads = target.residency !== 'resident' && target.residency !== 'loading' && target.residency !== 'evicting';
  if (loads) {
    target.beforeLoad = amountsBeforeLoad(state, consumer, target);
    if (claims) claimLoad(state, consumer, target, job.id);
    move(step, target, 'loading', { code: 'loaded_for', job: job.id, needMib: claimedFor(state, job), freeMib: null });
  }
  dropLeftOfRuns(state, target);
  job.roomMib = claims ? roomForRun(state, consumer) : null;
  if (claims) claimRun(state, consumer, target, job.id);
  voidMeasures(state, target);
  target.peak = NO_AMOUNTS;
  target.looks = 0;
  target.lastUsedAt = step.now;
  job.aside = null;
  state.turn = null;
  grantJob(step, job);
}

/** Spread evenly: as much as the fullest of its cards allows. */
function roomForRun(state: BrokerState, { settings: { cards } }: ConsumerState): number | null {
  const rooms = cards.map((card) => headroomMib(state, card)).filter((mib) => mib !== null);
  return rooms.length < cards.length ? null : Math.min(...rooms) * cards.length;
}

function claimedFor(state: BrokerState, job: JobRecord): number {
  return state.claims.filter((claim) => claim.jobId === job.id).reduce((sum, claim) => sum + claim.mib, 0);
}

function setAside(step: Step, job: JobRecord, reason: WaitReason, retryAt: MonotonicMs | null): void {
  const { state, now } = step;
  const since = job.aside?.reason.code === reason.code ? job.aside.since : now;
  const told = reason.code === 'no_room' ? { ...reason, givenUpAt: since + state.settings.noRoomMs } : reason;
  job.aside = { reason: told, since, readingSerial: state.readingSerial, retryAt };
  noteReason(job, told, now);
  state.turn = null;
}

/** Jobs that waited for strangers' room as long as they may. */
export function endHopeless(step: Step): void {
  const { state, now } = step;
  for (const job of state.queue) {
    const reason = job.aside?.reason;
    if (reason?.code !== 'no_room' || now < reason.givenUpAt) continue;
    const stuck = targetsOf(state).filter((target) => target.residency === 'stuck');
    const holders = reason.holders.map((holder) => `${holder.name} ${Math.round(holder.mib)} MiB`).join(', ');
    const name = targetName({ consumer: job.consumer, model: job.model });
    const had = reason.mostMib === null ? 'an unknown amount' : `${Math.round(reason.mostMib)} MiB`;
    const message =
      `${name} needs ${Math.round(reason.needMib)} MiB, ${had} could be had within ${Math.round(state.settings.noRoomMs / 1000)} s` +
      (holders === '' ? '' : `; held by ${holders}`);
    const code = stuck.length > 0 ? 'evict_failed' : 'does_not_fit';
    stopJob(step, job, { end: 'refused', code, message }, 15);
  }
}

/** A time that has passed wakes nobody: what keeps it from being used (a grant, an operation, a turn) ends by an event. */
function asideWakeAt(state: BrokerState): MonotonicMs {
  let earliest = Infinity;
  for (const job of state.queue) {
    if (job.aside === null) continue;
    if (job.aside.reason.code === 'no_room') earliest = Math.min(earliest, job.aside.reason.givenUpAt);
    const retryAt = job.aside.retryAt ?? 0;
    if (retryAt > state.now) earliest = Math.min(earliest, retryAt);
  }
  return earliest;
}

/** A stuck target is tried again when nobody needs the card and its time has come. */
export function healStuck(step: Step): void {
  const { state, now } = step;
  if (state.operation !== null || state.grants.size > 0 || state.turn !== null) return;
  for (const target of targetsOf(state)) {
    const consumer = state.consumers.get(target.target.consumer);
    if (target.residency !== 'stuck' || consumer === undefined || now < (target.retryAt ?? Infinity)) continue;
    if (isForeignHeld(step, target, consumer)) continue;
    const reason = { code: 'evicted_for', job: null, for: null, needMib: 0, freeMib: null, idleMs: null } as const;
    startUnload(step, target, consumer, { jobId: null, request: null }, new Map(), reason);
    return;
  }
}

/** Somebody works on it past us, or that must be asked first. */
function isForeignHeld(step: Step, target: TargetState, consumer: ConsumerState): boolean {
  if (!canBeAsked(consumer)) return false;
  if ((consumer.askedAt ?? -1) < (target.retryAt ?? 0)) {
    askConsumer(step, consumer);
    return true;
  }
  if (isForeignBusy(consumer)) target.retryAt = step.now + FOREIGN_WORK_POLL_MS;
  return isForeignBusy(consumer);
}

export function turnsWakeAt(state: BrokerState): MonotonicMs | null {
  let earliest = asideWakeAt(state);
  for (const { retryAt } of state.targets.values()) {
    if (retryAt !== null && retryAt > state.now) earliest = Math.min(earliest, retryAt);
  }
  for (const { deadline } of state.errands) if (deadline !== null) earliest = Math.min(earliest, deadline);
  return earliest === Infinity ? null : earliest;
}
