/** A new configuration in force: running jobs are not touched, what lives is keyed by consumer and survives. */
import type { EventOf } from './events.js';
import { outcomeOf, refuseWaiting, type Step } from './jobs.js';
import { noteMemoryChange } from './ledger.js';
import { answer, type Operation } from './operations.js';
import { targetsOf } from './residency.js';
import {
  addOwnTarget,
  type BrokerState,
  type ConsumerState,
  newConsumerState,
  newTargetState,
  type TargetState,
} from './state.js';

export function applySettings(step: Step, { settings }: EventOf<'ConfigApplied'>): void {
  const { state } = step;
  const removed = [...state.consumers.keys()].filter((id) => !settings.consumers.has(id));
  const added = [...settings.consumers.keys()].filter((id) => !state.consumers.has(id));
  for (const id of removed) {
    const consumer = state.consumers.get(id);
    if (consumer === undefined) continue;
    const text = `${id} was removed from the configuration while the job waited`;
    refuseWaiting(step, id, outcomeOf('refused', 'consumer_removed', text));
    state.consumers.delete(id);
    if (state.operation?.consumer === id) forgetOperation(step, state.operation);
    for (const target of targetsOf(state, consumer)) forgetTarget(state, target);
    state.claims = state.claims.filter((claim) => claim.consumer !== id);
  }
  for (const [id, consumer] of settings.consumers) {
    const known = renewed(state, state.consumers.get(id), consumer);
    state.consumers.set(id, known);
    addOwnTarget(state, known, step.now);
  }
  state.settings = settings;
  step.commands.push({
    type: 'RecordFact',
    fact: { type: 'config', consumersAdded: added, consumersRemoved: removed },
  });
}

/** What an operator pinned is pinned when its consumer comes back. */
function forgetTarget(state: BrokerState, target: TargetState): void {
  state.targets.delete(target.name);
  if (!target.pinnedByOperator) return;
  state.targets.set(target.name, { ...newTargetState(target.target, state.now), pinnedByOperator: true });
}

/** Its end would find nobody: it is forgotten with its consumer, the next reading shows what is left. */
function forgetOperation(step: Step, operation: Operation): void {
  step.state.operation = null;
  noteMemoryChange(step.state, step.now);
  const code = operation.kind === 'unload' ? 'evict_failed' : 'load_failed';
  const message = `${operation.consumer} was removed from the configuration meanwhile`;
  answer(step, operation.request, { ok: false, code, message });
}

function renewed(
  state: BrokerState,
  known: ConsumerState | undefined,
  settings: ConsumerState['settings'],
): ConsumerState {
  if (known === undefined) return withItsGrants(state, newConsumerState(settings));
  if (known.settings.endpoint !== settings.endpoint) {
    known.health = 'unknown';
    known.healthError = null;
    known.checkedAt = null;
  }
  known.settings = settings;
  return known;
}

/** It was gone for a while, and a job of it may still run. */
function withItsGrants(state: BrokerState, consumer: ConsumerState): ConsumerState {
  for (const job of state.grants.values()) if (job.consumer === consumer.id) consumer.grants.add(job.id);
  return consumer;
}
