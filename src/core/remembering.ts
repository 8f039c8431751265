/** What must outlive the daemon, gathered from the state and handed out as one command when it changed. */
import type { Step } from './jobs.js';
import type { BrokerMemory } from './memory.js';
import type { BrokerState } from './state.js';

export function memoryOf(state: BrokerState): BrokerMemory {
  const byName = <T>(entries: Iterable<[string, T]>): Record<string, T> =>
    Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    parked: [...state.consumers.values()]
      .filter((consumer) => consumer.parked)
      .map((consumer) => consumer.id)
      .sort(),
    pinned: [...state.targets.values()]
      .filter((target) => target.pinnedByOperator)
      .map((target) => target.name)
      .sort(),
    targets: byName(state.learned),
    residues: byName(state.residues),
  };
}

export function saveMemory(step: Step): void {
  step.commands.push({ type: 'SaveMemory', memory: memoryOf(step.state) });
}
