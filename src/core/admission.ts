/** From a request's headers to its place among the jobs, or to its refusal. */
import { describeDown } from './describe.js';
import type { EventOf } from './events.js';
import { outcomeOf, type Step, stopJob, tellJob } from './jobs.js';
import { canBeStarted } from './startable.js';
import type { BrokerState, JobRecord } from './state.js';
import type { ConsumerId, JobOutcome } from './vocabulary.js';

export function announce(step: Step, { job: announced }: EventOf<'JobAnnounced'>): void {
  const { state, now } = step;
  if (state.jobs.has(announced.id)) {
    state.strayEvents += 1;
    return;
  }
  const job: JobRecord = {
    // Written out: V8 takes twice as long for a spread with so many members behind it, and this is done for every job.
    id: announced.id,
    consumer: announced.consumer,
    capability: announced.capability,
    class: announced.class,
    client: announced.client,
    model: null,
    usesCard: true,
    phase: 'taking_in',
    announcedAt: now,
    queuedAt: null,
    grantedAt: null,
    firstByteAt: null,
    endedAt: null,
    answered: false,
    outcome: null,
    aside: null,
    triedAgain: false,
    roomMib: null,
    reasons: [],
  };
  state.jobs.set(job.id, job);
  state.takingIn += 1;
  const refusal = refusalOf(state, announced.consumer);
  if (refusal !== null) {
    stopJob(step, job, refusal);
    return;
  }
  tellJob(step, job, 'announced');
  step.commands.push({ type: 'AdmitJob', jobId: job.id });
}

function refusalOf(state: BrokerState, id: ConsumerId): JobOutcome | null {
  const consumer = state.consumers.get(id);
  if (state.mode !== 'ready') {
    return outcomeOf('refused', 'draining', 'the broker takes no new jobs: it is draining; try again when it is back');
  }
  if (consumer === undefined) {
    return outcomeOf('refused', 'consumer_removed', `${id} is not in the configuration any more`);
  }
  if (consumer.health === 'down' && !canBeStarted(consumer))
    return outcomeOf('refused', 'consumer_down', describeDown(consumer, state.now));
  // The announced job itself is counted already.
  const notBegun = state.queue.size + state.takingIn - 1;
  if (notBegun >= state.settings.queueMax) {
    const text = `overloaded: ${notBegun} jobs wait already, queue.max is ${state.settings.queueMax}; try again later`;
    return outcomeOf('refused', 'queue_full', text);
  }
  return null;
}
