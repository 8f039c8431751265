/** Why a job waits and for how long, asked of the state as it is. Reads only. */
import { headroomMib, heldByProcesses } from './ledger.js';
import type { UnloadOperation } from './operations.js';
import { policyOf } from './policies/registry.js';
import { canBeStarted } from './startable.js';
import type { BrokerState, JobRecord } from './state.js';
import { targetOfName, type WaitReason } from './vocabulary.js';

/** null: nothing stands in its way (it is granted in the same step). */
export function reasonOf(state: BrokerState, job: JobRecord): WaitReason | null {
  if (job.phase === 'taking_in') return { code: 'taking_in' };
  const consumer = state.consumers.get(job.consumer);
  if (consumer?.health === 'unknown' && !canBeStarted(consumer))
    return { code: 'state_unknown', consumer: job.consumer };
  if (!policyOf(state.settings.policy).locks)
    return operationReason(state, job) ?? job.aside?.reason ?? lastReason(job);
  return lockReason(state) ?? operationReason(state, job) ?? job.aside?.reason ?? turnReason(state, job);
}

function lockReason(state: BrokerState): WaitReason | null {
  const holder = state.grants.values().next().value;
  if (holder === undefined) return null;
  return {
    code: holder.phase === 'winding_down' ? 'draining' : 'turn_busy',
    holder: holder.id,
    target: { consumer: holder.consumer, model: holder.model },
    since: holder.grantedAt ?? state.now,
  };
}

function operationReason(state: BrokerState, job: JobRecord): WaitReason | null {
  const { operation } = state;
  if (operation === null) return null;
  const target = targetOfName(operation.target);
  if (state.turn?.jobId !== job.id) return { code: 'load_queue', target, since: operation.startedAt };
  if (operation.kind === 'unload') return unverified(state, operation);
  const usualMs = state.learned.get(operation.target)?.loadMs ?? null;
  return { code: 'loading', target, since: operation.startedAt, usualMs };
}

function unverified(state: BrokerState, operation: UnloadOperation): WaitReason {
  const cards = [...operation.need.keys()];
  const free = cards.map((card) => headroomMib(state, card));
  const held = heldByProcesses(state, operation.consumer);
  return {
    code: 'unverified',
    victim: targetOfName(operation.target),
    expectedMib: operation.expectedMib,
    freedMib: held === null || operation.beforeHeldMib === null ? null : Math.max(0, operation.beforeHeldMib - held),
    since: operation.startedAt,
    needMib: [...operation.need.values()].reduce((sum, mib) => sum + mib, 0),
    freeMib: free.some((mib) => mib === null) ? null : free.reduce<number>((sum, mib) => sum + (mib ?? 0), 0),
  };
}

/** What its plan said when it was last made. */
function lastReason(job: JobRecord): WaitReason | null {
  return job.reasons.at(-1)?.reason ?? null;
}

function turnReason(state: BrokerState, job: JobRecord): WaitReason | null {
  const { turn, errands } = state;
  const [errand] = errands;
  if (turn === null) {
    return errand === undefined ? null : { code: 'load_queue', target: errand.target, since: errand.askedAt };
  }
  if (turn.jobId === job.id) return lastReason(job);
  const ahead = state.jobs.get(turn.jobId);
  if (ahead === undefined) return null;
  const target = { consumer: ahead.consumer, model: ahead.model };
  return { code: 'behind', ahead: ahead.id, target, since: turn.takenAt };
}

/** How long the one that has the card will still run; 0 when nobody has it, null where nothing was learned yet. */
export function expectedRestMs(state: BrokerState): number | null {
  const holder = state.grants.values().next().value;
  if (holder === undefined || holder.grantedAt === null) return 0;
  const usualMs = usualRunMs(state, holder);
  return usualMs === null ? null : Math.max(0, holder.grantedAt + usualMs - state.now);
}

export function usualRunMs(state: BrokerState, job: JobRecord): number | null {
  return state.consumers.get(job.consumer)?.runTimes.quantileMs(0.5) ?? null;
}
