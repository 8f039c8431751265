/** Every job runs at once, as if nobody stood in front: the baseline that the others are compared with. */
import type { Policy } from './policy.js';

export const passthrough: Policy = {
  name: 'passthrough',
  mustWait: () => null,
};
