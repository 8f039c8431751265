/** The policies by name. */
import type { PolicyName } from '../vocabulary.js';
import type { Policy } from './policy.js';

const POLICIES: Readonly<Partial<Record<PolicyName, Policy>>> = {
  /** Every job runs at once, as if nobody stood in front: the baseline that the others are compared with. */
  passthrough: { name: 'passthrough', locks: false, makesRoom: false },
  locked: { name: 'locked', locks: true, makesRoom: false },
  'vram-lru': { name: 'vram-lru', locks: true, makesRoom: true },
};

/** Throws for a policy that does not exist yet: the configuration refuses those names before they come here. */
export function policyOf(name: PolicyName): Policy {
  const policy = POLICIES[name];
  if (policy === undefined) throw new Error(`policy ${name} is not built yet; the configuration must refuse it`);
  return policy;
}
