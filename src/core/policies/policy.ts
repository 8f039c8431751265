/**
 * What a policy is: whether there is a lock, and whether room is made before a run. The rules of choosing who leaves
 * are in `vram-lru.ts`; a policy that orders jobs (`swap-aware`) will bring its own order here.
 */
import type { PolicyName } from '../vocabulary.js';

export interface Policy {
  readonly name: PolicyName;
  /** One lock for all consumers and all cards, first come first served. */
  readonly locks: boolean;
  /** A grant needs room by the ledger; targets are evicted for it. */
  readonly makesRoom: boolean;
}
