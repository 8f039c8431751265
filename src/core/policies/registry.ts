/** The policies by name. Adding one is a file beside this and a line here. */
import type { PolicyName } from '../vocabulary.js';
import { locked } from './locked.js';
import { passthrough } from './passthrough.js';
import type { Policy } from './policy.js';

const POLICIES: Readonly<Partial<Record<PolicyName, Policy>>> = { passthrough, locked };

/** Throws for a policy that does not exist yet: the configuration refuses those names before they come here. */
export function policyOf(name: PolicyName): Policy {
  const policy = POLICIES[name];
  if (policy === undefined) throw new Error(`policy ${name} is not built yet; the configuration must refuse it`);
  return policy;
}
