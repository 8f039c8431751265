/**
 * One lock for all consumers and all cards, first come first served. The lock is taken with the grant and given back
 * when the job's work on the card is over, which can be after its end (the client left, the consumer works on).
 */
import type { BrokerState, JobRecord } from '../state.js';
import type { WaitReason } from '../vocabulary.js';
import type { Policy } from './policy.js';

export const locked: Policy = {
  name: 'locked',
  mustWait(_job: JobRecord, state: BrokerState): WaitReason | null {
    const holder = state.grants.values().next().value;
    if (holder === undefined) return null;
    return {
      code: holder.phase === 'winding_down' ? 'draining' : 'turn_busy',
      holder: holder.id,
      target: { consumer: holder.consumer, model: holder.model },
      since: holder.grantedAt ?? state.now,
    };
  },
};
