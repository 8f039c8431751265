/** Why a job waits and for how long, asked of the state as it is. Reads only. */
import { policyOf } from './policies/registry.js';
import type { BrokerState, JobRecord } from './state.js';
import type { WaitReason } from './vocabulary.js';

/** null: nothing stands in its way (it is granted in the same step). */
export function reasonOf(state: BrokerState, job: JobRecord): WaitReason | null {
  if (job.phase === 'taking_in') return { code: 'taking_in' };
  const consumer = state.consumers.get(job.consumer);
  if (consumer?.health === 'unknown') return { code: 'state_unknown', consumer: job.consumer };
  return policyOf(state.settings.policy).mustWait(job, state);
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
