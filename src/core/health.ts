/** What a health probe says about a consumer, and what follows for its targets and its waiting jobs. */
import { releaseLoadClaimsByReading } from './claims.js';
import { describeDown } from './describe.js';
import type { EventOf } from './events.js';
import { outcomeOf, refuseWaiting, type Step } from './jobs.js';
import { saveMemory } from './remembering.js';
import { lastChangeOf, move, targetsOf } from './residency.js';
import { canBeStarted } from './startable.js';
import type { ConsumerState } from './state.js';

export function applyProbe(step: Step, event: EventOf<'ProbeEnded'>): void {
  const consumer = step.state.consumers.get(event.consumer);
  if (consumer === undefined) return;
  // One that we stop, or start, is not down.
  if (step.state.operation?.consumer === consumer.id) return;
  if (consumer.parked && !wasStartedByHand(step, consumer, event)) return;
  // A probe that timed out while the consumer worked, loaded or unloaded, at any moment of it, proves nothing.
  const worked = consumer.grants.size > 0 || lastChangeOf(step.state, consumer) >= event.startedAt;
  if (event.result === 'timed_out' && (worked || (consumer.foreignWork ?? 0) > 0)) return;
  const health = event.result === 'good' ? 'up' : 'down';
  const changed = health !== consumer.health || event.error !== consumer.healthError;
  consumer.health = health;
  consumer.healthError = event.error;
  consumer.checkedAt = step.now;
  if (!changed) return;
  step.commands.push({
    type: 'RecordFact',
    fact: { type: 'consumer', consumer: consumer.id, health, error: event.error },
  });
  if (health === 'up') welcome(step, consumer);
  else mourn(step, consumer);
}

/** One that we stopped is not down, and does not stay parked once somebody else has started it. */
function wasStartedByHand(step: Step, consumer: ConsumerState, event: EventOf<'ProbeEnded'>): boolean {
  if (event.result !== 'good' || event.startedAt < consumer.parkedAt) return false;
  consumer.parked = false;
  for (const target of targetsOf(step.state, consumer)) {
    if (target.residency !== 'parked') continue;
    move(step, target, 'unknown', { code: 'observed', mib: null, how: 'somebody else started its unit' });
  }
  saveMemory(step);
  return true;
}

/** Up for the first time, or again: what it holds is asked, first of itself, then of its processes. */
function welcome(step: Step, consumer: ConsumerState): void {
  const { state } = step;
  for (const target of targetsOf(state, consumer)) {
    if (consumer.settings.loads !== 'at_start' || (target.residency !== 'unknown' && target.residency !== 'absent'))
      continue;
    move(step, target, 'resident', { code: 'observed', mib: null, how: 'it loads before it opens its port' });
  }
  // Whatever was asked of the process before may never be answered.
  consumer.askingSince = step.now;
  step.commands.push({ type: 'AskConsumer', consumer: consumer.id });
}

function mourn(step: Step, consumer: ConsumerState): void {
  consumer.foreignWork = null;
  consumer.foreignSince = null;
  for (const target of targetsOf(step.state, consumer)) {
    // Its process may be gone or may hang: only a reading decides about its memory. Of a load that its job has ended too:
    // the reading that was awaited would show whatever is there now.
    const loaded = target.residency === 'loading' && consumer.grants.size === 0;
    if (target.residency !== 'resident' && !loaded) continue;
    releaseLoadClaimsByReading(step.state, target, step.now);
    move(step, target, 'unknown', { code: 'observed', mib: null, how: 'the consumer is down' });
  }
  if (canBeStarted(consumer)) return;
  refuseWaiting(step, consumer.id, outcomeOf('refused', 'consumer_down', describeDown(consumer, step.now)));
}
