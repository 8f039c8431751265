/** One text per type, for status, logs, scenario files and `why`: the only place where reasons become sentences. */
import type { CoreEvent } from './events.js';
import type { ConsumerState } from './state.js';
import { type MonotonicMs, targetName, type WaitReason } from './vocabulary.js';

const seconds = (ms: number): string => `${Math.max(0, Math.round(ms / 1000))} s`;

/** `whisper-server is down: connection refused at 127.0.0.1:8178 (checked 3 s ago)` */
export function describeDown(
  consumer: Pick<ConsumerState, 'id' | 'healthError' | 'checkedAt'>,
  now: MonotonicMs,
): string {
  const cause = consumer.healthError ?? 'its last probe failed';
  const checked = consumer.checkedAt === null ? '' : ` (checked ${seconds(now - consumer.checkedAt)} ago)`;
  return `${consumer.id} is down: ${cause}${checked}`;
}

/** Why a job waits, as a person would say it; `now` on the core's clock. */
export function describeReason(reason: WaitReason, now: MonotonicMs): string {
  switch (reason.code) {
    case 'taking_in':
      return 'its body is still coming';
    case 'state_unknown':
      return `waiting for the first health probe of ${reason.consumer}`;
    case 'turn_busy':
      return `waiting for ${targetName(reason.target)}, which has had the card for ${seconds(now - reason.since)}`;
    case 'draining':
      return `waiting for ${targetName(reason.target)}: its job was broken off, its work on the card is not over yet`;
  }
}

/** One line for an event, as scenario files show it. */
export function describeEvent(event: CoreEvent): string {
  switch (event.type) {
    case 'JobAnnounced':
      return `JobAnnounced ${event.job.id} ${event.job.consumer} ${event.job.class}`;
    case 'JobArrived':
      return `JobArrived ${event.jobId}${event.model === null ? '' : ` ${event.model}`}`;
    case 'JobEnded':
      return `JobEnded ${event.jobId} ${event.outcome.end}${event.workOver ? '' : ' (work goes on)'}`;
    case 'ProbeEnded':
      return `ProbeEnded ${event.consumer} ${event.result}`;
    case 'CardMeasured':
      return `CardMeasured ${event.reading === null ? (event.error ?? 'nothing') : `${event.reading.cards.length} cards`}`;
    case 'ConfigApplied':
      return `ConfigApplied ${event.settings.policy} [${[...event.settings.consumers.keys()].join(' ')}]`;
    case 'OperatorAsked':
      return `OperatorAsked ${event.action.kind}`;
    case 'Ticked':
      return 'Ticked';
    default:
      return `${event.type} ${event.jobId}`;
  }
}
