/**
 * Whose turn it is: under a lock with room to make, one demand at a time is planned, and what its plan says is done.
 * A demand that nobody of ours can help is set aside, without the lock, and looked at again when that may have changed.
 */
import { claimLoad, claimRun } from './claims.js';
import { grantJob, noteReason, type Step, stopJob } from './jobs.js';
import { answer, measure, startLoad, startUnload } from './operations.js';
import { type Demand, planFor, type Verdict } from './planner.js';
import { move, targetStateOf, targetsOf } from './residency.js';
import { canBeStarted } from './startable.js';
import type { Aside, BrokerState, ConsumerState, Errand, JobRecord } from './state.js';
import { type MonotonicMs, targetName, type WaitReason } from './vocabulary.js';

const LOAD_FAILURES_MAX = 3;

export function takeTurns(step: Step, makesRoom: boolean): void {
  const { state } = step;
  // Each round either issues something and returns, or moves one job on (granted, ended, set aside).
  for (let rounds = state.queue.size + state.errands.length + 2; rounds > 0; rounds--) {
    if (state.operation !== null || state.grants.size > 0) break;
    const errand = state.errands[0];
    if (errand !== undefined && state.turn === null) {
      if (runErrand(step, errand)) break;
      continue;
    }
    const job = nextJob(state);
    if (job === undefined) break;
    if (takeTurn(step, job, makesRoom)) break;
  }
  if (state.turn !== null && !isWaiting(state, state.turn.jobId)) state.turn = null;
  healStuck(step);
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
      if (target.failures >= LOAD_FAILURES_MAX) {
        failWaiters(step, job);
        return false;
      }
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
      askOthers(step, verdict);
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

function askOthers(step: Step, verdict: Extract<Verdict, { kind: 'measure' | 'ask' | 'wait' }>): void {
  if (verdict.kind === 'measure') measure(step);
  if (verdict.kind !== 'ask') return;
  const consumer = step.state.consumers.get(verdict.consumer);
  if (consumer === undefined || consumer.asking) return;
  consumer.asking = true;
  step.commands.push({ type: 'AskConsumer', consumer: consumer.id });
}

/** The grant and its claims are one step: between them nothing else may be promised the same memory. */
export function grantOn(step: Step, job: JobRecord, consumer: ConsumerState, claims: boolean): void {
  const { state } = step;
  const target = targetStateOf(state, { consumer: job.consumer, model: job.model });
  const loads = target.residency !== 'resident' && target.residency !== 'loading' && target.residency !== 'evicting';
  if (loads) {
    target.beforeLoadMib = baseBeforeLoad(state, consumer);
    if (claims) claimLoad(state, consumer, target, job.id);
    move(step, target, 'loading', { code: 'loaded_for', job: job.id, needMib: claimedFor(state, job), freeMib: null });
  }
  if (claims) claimRun(state, consumer, target, job.id);
  target.peakMib = null;
  target.lastUsedAt = step.now;
  job.aside = null;
  state.turn = null;
  grantJob(step, job);
}

function claimedFor(state: BrokerState, job: JobRecord): number {
  return state.claims.filter((claim) => claim.jobId === job.id).reduce((sum, claim) => sum + claim.mib, 0);
}

/** What is used before the load: by its processes where the list knows, else on its cards. */
function baseBeforeLoad(state: BrokerState, consumer: ConsumerState): number | null {
  const reading = state.reading;
  if (reading === null || reading.startedAt < state.memoryChangedAt) return null;
  const own = (reading.processes ?? []).filter((use) => use.consumer === consumer.id);
  if (reading.processes !== null && consumer.everAttributed)
    return own.reduce((sum, use) => sum + (use.usedMib ?? 0), 0);
  const cards = reading.cards.filter((card) => consumer.settings.cards.includes(card.index));
  return cards.some((card) => card.usedMib === null) ? null : cards.reduce((sum, card) => sum + (card.usedMib ?? 0), 0);
}

function failWaiters(step: Step, first: JobRecord): void {
  const { state } = step;
  const name = targetName({ consumer: first.consumer, model: first.model });
  const target = state.targets.get(name);
  const message = `${name} failed to load ${target?.failures ?? LOAD_FAILURES_MAX} times in a row; see the consumer's own log`;
  for (const job of [...state.queue]) {
    if (targetName({ consumer: job.consumer, model: job.model }) !== name) continue;
    stopJob(step, job, { end: 'failed', code: 'load_failed', message });
  }
  if (target !== undefined) target.failures = 0;
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
  for (const job of [...state.queue]) {
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

export function asideWakeAt(state: BrokerState): MonotonicMs | null {
  let earliest: MonotonicMs | null = null;
  for (const job of state.queue) {
    if (job.aside === null) continue;
    const gives = job.aside.reason.code === 'no_room' ? job.aside.reason.givenUpAt : Infinity;
    const at = Math.min(gives, job.aside.retryAt ?? Infinity);
    if (at !== Infinity && (earliest === null || at < earliest)) earliest = at;
  }
  return earliest;
}

/** True: the card is busy with it. */
function runErrand(step: Step, errand: Errand): boolean {
  const { state } = step;
  const consumer = state.consumers.get(errand.target.consumer);
  if (consumer === undefined) {
    finish(step, errand, false, `${errand.target.consumer} is not in the configuration any more`);
    return false;
  }
  return errand.kind === 'evict' ? runEvict(step, errand, consumer) : runLoad(step, errand, consumer);
}

function finish(step: Step, errand: Errand, ok: boolean, message: string): void {
  step.state.errands = step.state.errands.filter((one) => one !== errand);
  const failed = errand.kind === 'evict' ? 'evict_failed' : 'load_failed';
  answer(step, errand.request, ok ? { ok, message } : { ok, code: failed, message });
}

function runEvict(step: Step, errand: Errand, consumer: ConsumerState): boolean {
  const { state } = step;
  const name = targetName(errand.target);
  const target = state.targets.get(name);
  if (target === undefined || target.residency === 'absent' || target.residency === 'parked') {
    finish(step, errand, true, `${name} is not in VRAM (${target?.residency ?? 'never loaded'})`);
    return false;
  }
  if (!consumer.settings.unloadsByCall && consumer.settings.unit === null) {
    finish(step, errand, false, `${name} cannot be evicted: configure \`unload\` or \`unit\` for ${consumer.id}`);
    return false;
  }
  if (askFirst(step, consumer, errand.askedAt)) return true;
  if ((consumer.foreignWork ?? 0) > 0) {
    finish(step, errand, false, `${name} works for somebody else right now; evicting it would break that off`);
    return false;
  }
  state.errands = state.errands.filter((one) => one !== errand);
  startUnload(step, target, consumer, { jobId: null, request: errand.request }, new Map(), {
    code: 'asked_by_operator',
  });
  return true;
}

function askFirst(step: Step, consumer: ConsumerState, since: MonotonicMs): boolean {
  if (!consumer.settings.asksForeignWork || consumer.parked || (consumer.askedAt ?? -1) >= since) return false;
  askOthers(step, { kind: 'ask', consumer: consumer.id, reason: { code: 'state_unknown', consumer: consumer.id } });
  return true;
}

function runLoad(step: Step, errand: Errand, consumer: ConsumerState): boolean {
  const { state } = step;
  const target = targetStateOf(state, errand.target);
  if (target.residency === 'resident') {
    finish(step, errand, true, `${target.name} is in VRAM`);
    return false;
  }
  const verdict = planFor(
    state,
    consumer,
    { target: errand.target, runs: false, alone: false, since: errand.askedAt },
    true,
  );
  const asker = { jobId: null, request: errand.request };
  switch (verdict.kind) {
    case 'go':
    case 'load':
    case 'start':
      state.errands = state.errands.filter((one) => one !== errand);
      startLoad(step, verdict.kind === 'start' ? 'start_unit' : 'load', target, consumer, asker, {
        code: 'asked_by_operator',
      });
      return true;
    case 'evict': {
      const victim = state.consumers.get(verdict.victim.target.consumer);
      if (victim === undefined) return false;
      startUnload(step, verdict.victim, victim, { jobId: null, request: null }, verdict.need, {
        code: 'asked_by_operator',
      });
      return true;
    }
    case 'never':
      finish(step, errand, false, verdict.message);
      return false;
    case 'aside':
      finish(step, errand, false, `there is no room for ${target.name} now (${verdict.reason.code})`);
      return false;
    default:
      askOthers(step, verdict);
      return true;
  }
}

/** Errands whose operator waited long enough. */
export function endOverdueErrands(step: Step): void {
  for (const errand of [...step.state.errands]) {
    if (errand.deadline === null || step.now < errand.deadline) continue;
    finish(step, errand, false, `${targetName(errand.target)} did not become idle in time; nothing was broken off`);
  }
}

/** A stuck target is tried again when nobody needs the card, or when its time has come. */
function healStuck(step: Step): void {
  const { state, now } = step;
  if (state.operation !== null || state.grants.size > 0 || state.turn !== null) return;
  for (const target of targetsOf(state)) {
    const consumer = state.consumers.get(target.target.consumer);
    if (target.residency !== 'stuck' || consumer === undefined || now < (target.retryAt ?? Infinity)) continue;
    const reason = { code: 'evicted_for', job: null, for: null, needMib: 0, freeMib: null, idleMs: null } as const;
    startUnload(step, target, consumer, { jobId: null, request: null }, new Map(), reason);
    return;
  }
}

export function turnsWakeAt(state: BrokerState): MonotonicMs | null {
  const times: MonotonicMs[] = [];
  for (const target of state.targets.values()) if (target.retryAt !== null) times.push(target.retryAt);
  for (const errand of state.errands) if (errand.deadline !== null) times.push(errand.deadline);
  const aside = asideWakeAt(state);
  if (aside !== null) times.push(aside);
  return times.length === 0 ? null : Math.min(...times);
}
