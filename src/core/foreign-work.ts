/**
 * Work that did not come through us: what a consumer says it works on, or the driver's count of its use of a card, less
 * what is ours. In doubt nothing is concluded: what was known stays.
 */
import type { EventOf } from './events.js';
import type { Step } from './jobs.js';
import { lastChangeOf, move, targetsOf } from './residency.js';
import type { BrokerState, ConsumerState } from './state.js';
import type { MonotonicMs } from './vocabulary.js';

/** The driver's count trails: use falls about 0.7 s after the end of the work (H100, driver 580). */
const OUR_USE_TRAILS_MS = 2000;

/** False: whether it works for others could not be told apart from work of ours. */
export function noteWork(step: Step, consumer: ConsumerState, said: EventOf<'ConsumerAsked'>): boolean {
  const foreign = foreignIn(step.state, consumer, said);
  if (typeof foreign === 'number') setForeignWork(step, consumer, foreign);
  return foreign !== 'in doubt';
}

/** null: nothing was said of it. */
function foreignIn(
  state: BrokerState,
  consumer: ConsumerState,
  { answer, usesCard, startedAt }: EventOf<'ConsumerAsked'>,
): number | 'in doubt' | null {
  const work = answer?.work ?? null;
  if (work !== null) {
    // A job of ours that began or ended meanwhile is among them or is not.
    const isTold = work === 0 || (consumer.lastUsedAt ?? -Infinity) <= startedAt;
    return isTold ? Math.max(0, work - consumer.grants.size) : 'in doubt';
  }
  if (usesCard === true) return isOurUse(state, consumer, startedAt) ? null : 1;
  // Who can say what it works on may do so with an idle card.
  return usesCard === false && !consumer.settings.asksForeignWork ? 0 : null;
}

/** A run of ours, or a load or unload, that goes on or that the count may still show. */
function isOurUse(state: BrokerState, consumer: ConsumerState, lookedAt: MonotonicMs): boolean {
  if (consumer.grants.size > 0 || state.operation?.consumer === consumer.id) return true;
  return lastChangeOf(state, consumer) > lookedAt - OUR_USE_TRAILS_MS;
}

function setForeignWork(step: Step, consumer: ConsumerState, foreign: number): void {
  const wasBusy = (consumer.foreignWork ?? 0) > 0;
  consumer.foreignWork = foreign;
  if (foreign === 0) {
    consumer.foreignSince = null;
    return;
  }
  if (!wasBusy) consumer.foreignSince = step.now;
  for (const target of targetsOf(step.state, consumer)) {
    // Whoever works on it uses it: it is not the least recently used one.
    target.lastUsedAt = step.now;
    if (target.residency !== 'absent') continue;
    move(step, target, 'unknown', { code: 'observed', mib: null, how: 'somebody works on it past us' });
  }
}
