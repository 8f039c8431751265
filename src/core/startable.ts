/** What the broker may do with a consumer's process: start its unit, ask it about itself. */
import type { ConsumerState } from './state.js';

/** `parked`: we stopped it ourselves; `on-demand`: whenever it is down. `never` is answered by the planner, in words. */
export function canBeStarted(consumer: ConsumerState): boolean {
  if (consumer.settings.unit === null) return false;
  return consumer.parked || (consumer.settings.start === 'on-demand' && consumer.health === 'down');
}

/** Whether its kind can say what it works on or which of its models are loaded, and its process is there to say it. */
export function canBeAsked(consumer: ConsumerState): boolean {
  const { asksForeignWork, swaps } = consumer.settings;
  return (asksForeignWork || swaps === 'models') && !consumer.parked && consumer.health !== 'down';
}
