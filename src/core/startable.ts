/** Which consumers' units the broker may start. */
import type { ConsumerState } from './state.js';

/** `parked`: we stopped it ourselves; `on-demand`: whenever it is down. `never` is answered by the planner, in words. */
export function canBeStarted(consumer: ConsumerState): boolean {
  if (consumer.settings.unit === null) return false;
  return consumer.parked || (consumer.settings.start === 'on-demand' && consumer.health === 'down');
}
