/**
 * What a policy is asked. Pure questions about a state that it may read and never writes; it is asked often, so it
 * logs nothing. `broker.ts` refuses advice that would break an invariant.
 */
import type { BrokerState, JobRecord } from '../state.js';
import type { PolicyName, WaitReason } from '../vocabulary.js';

export interface Policy {
  readonly name: PolicyName;
  /** Why this job may not be granted now; null: it may. Asked in the order of the queue. */
  mustWait(job: JobRecord, state: BrokerState): WaitReason | null;
}
