/** One text per type, for status, logs, scenario files and `why`: the only place where reasons become sentences. */
import type { CoreEvent } from './events.js';
import type { TargetReason } from './facts.js';
import type { ConsumerState } from './state.js';
import { type Holder, type MonotonicMs, targetName, type WaitReason } from './vocabulary.js';

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
    case 'behind':
      return `behind ${targetName(reason.target)} (${reason.ahead}), for which room is being made`;
    case 'measuring':
      return reason.asks === null
        ? `asking what is free now: ${room(reason)}`
        : `asking ${reason.asks} what it works on and has loaded: ${room(reason)}`;
    case 'unverified': {
      const freed = reason.freedMib === null ? '' : ` of which ${mib(reason.freedMib)} came back`;
      return `waiting for ${targetName(reason.victim)} to give back ${mib(reason.expectedMib)}${freed}, for ${seconds(now - reason.since)}: ${room(reason)}`;
    }
    case 'loading': {
      const usual = reason.usualMs === null ? '' : `, usually ${seconds(reason.usualMs)}`;
      return `${targetName(reason.target)} is loading for ${seconds(now - reason.since)}${usual}`;
    }
    case 'load_queue':
      return `waiting for ${targetName(reason.target)}, which is being loaded or unloaded for ${seconds(now - reason.since)}`;
    case 'foreign_work':
      return `${reason.consumer} works for somebody who did not come through us, for ${seconds(now - reason.since)}: ${room(reason)}`;
    case 'protected':
      return `${holders(reason.kept)} stays a moment, because a file of it was just read: ${room(reason)}`;
    case 'no_room': {
      const held = reason.holders.length === 0 ? '' : `; held by ${holders(reason.holders)}`;
      return `no room that we could make: ${room(reason)}${held}; given up in ${seconds(reason.givenUpAt - now)}`;
    }
    case 'cooling_down':
      return `${targetName(reason.target)} failed to load ${reason.failures} times in a row, tried again in ${seconds(reason.until - now)}`;
  }
}

/** What must happen elsewhere before the job may go on: a target's, consumer's or program's name; null: nobody's. */
export function waitsFor(reason: WaitReason): string | null {
  switch (reason.code) {
    case 'turn_busy':
    case 'draining':
    case 'behind':
    case 'loading':
    case 'load_queue':
    case 'cooling_down':
      return targetName(reason.target);
    case 'unverified':
      return targetName(reason.victim);
    case 'state_unknown':
    case 'foreign_work':
      return reason.consumer;
    case 'protected':
      return names(reason.kept);
    case 'no_room':
      return names(reason.holders);
    case 'measuring':
      return reason.asks;
    case 'taking_in':
      return null;
  }
}

const names = (list: readonly Holder[]): string | null =>
  list.length === 0 ? null : list.map(({ name }) => name).join(', ');

const mib = (value: number): string => `${Math.round(value).toLocaleString('en-US')} MiB`;

function room({ needMib, freeMib }: { readonly needMib: number; readonly freeMib: number | null }): string {
  return freeMib === null
    ? `needs ${mib(needMib)}, free is unknown`
    : `needs ${mib(needMib)}, ${mib(Math.max(0, freeMib))} can be had now`;
}

function holders(list: readonly Holder[]): string {
  return list.map((holder) => `${holder.name} ${mib(holder.mib)}`).join(', ');
}

/** Why a target moved, as a person would say it. */
export function describeMove(reason: TargetReason): string {
  switch (reason.code) {
    case 'loaded_for':
      return `loaded for ${reason.job}`;
    case 'evicted_for': {
      if (reason.job === null) return 'tried again to make it leave';
      const target = reason.for === null ? '' : ` (${targetName(reason.for)})`;
      const idle = reason.idleMs === null ? 'never used since the start' : `idle for ${seconds(reason.idleMs)}`;
      const free = reason.freeMib === null ? 'free is unknown' : `${mib(reason.freeMib)} can be had`;
      return `evicted for ${reason.job}${target}, which needs ${mib(reason.needMib)} where ${free}; it was ${idle}`;
    }
    case 'freed': {
      const amount = reason.mib === null ? '' : `: ${mib(reason.mib)} came back`;
      return `left after ${seconds(reason.tookMs)}${amount} (${reason.how === 'reading' ? 'seen in a reading' : 'believed, no reading'})`;
    }
    case 'ready':
      return `in VRAM${reason.tookMs === null ? '' : ` after ${seconds(reason.tookMs)}`}${reason.mib === null ? '' : `, holds ${mib(reason.mib)}`}`;
    case 'observed':
      return `${reason.how}${reason.mib === null ? '' : ` (${mib(reason.mib)})`}`;
    case 'failed':
      return reason.message;
    case 'asked_by_operator':
      return 'an operator asked for it';
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
    case 'LoadEnded':
    case 'UnloadEnded':
      return `${event.type} ${targetName(event.target)}${event.error === null ? '' : `: ${event.error}`}`;
    case 'UnitStarted':
    case 'UnitStopped':
      return `${event.type} ${event.consumer}${event.error === null ? '' : `: ${event.error}`}`;
    case 'ConsumerAsked':
    case 'ConsumerRead':
      return `${event.type} ${event.consumer}`;
    default:
      return `${event.type} ${event.jobId}`;
  }
}
