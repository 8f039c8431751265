/** One thing that happened, as a sentence, with how much it matters. Keeps nothing. */
import type { Happening, TargetMoved } from './happening.js';
import type { Job } from './wire.js';
import { inGib, list, span, splitTarget, targetName, withoutIds } from './words.js';

export interface Told {
  readonly text: string;
  /** The consumer it is about; null: the daemon itself. */
  readonly consumer: string | null;
  readonly job: string | null;
  readonly tone: 'plain' | 'good' | 'moved' | 'bad';
  /** Stands beside the text, so that nothing is said by colour alone. */
  readonly mark: string;
}

/** null: nothing to tell, a reading for example. */
export function tell(happening: Happening): Told | null {
  switch (happening.event) {
    case 'job':
      return happening.change === 'ended' ? ended(happening.job) : null;
    case 'target':
      return moved(happening.target, happening.to, happening.reason);
    case 'out_of_memory':
      return {
        text: `${happening.target} ran out of GPU memory: ${happening.message}`,
        consumer: splitTarget(happening.target).consumer,
        job: happening.job,
        tone: 'bad',
        mark: '!',
      };
    case 'consumer':
      return health(happening.consumer, happening.health, happening.health_error);
    case 'config':
      return about(`The configuration was applied${configChange(happening)}.`);
    case 'operator':
      return about(`${happening.by} asked: ${happening.action}.`);
    case 'daemon':
      return about(happening.change === 'started' ? 'mGPUmanager started.' : 'mGPUmanager stopped.');
    case 'gpu':
      return null;
  }
}

const about = (text: string): Told => ({ text, consumer: null, job: null, tone: 'plain', mark: '·' });

const ENDS: Readonly<Record<string, string>> = {
  failed: 'failed',
  cancelled: 'was cancelled',
  refused: 'was refused',
  timed_out: 'took too long',
};

export function waitedMs(job: Job): number {
  return Date.parse(job.granted_at ?? job.ended_at ?? job.queued_at) - Date.parse(job.queued_at);
}

export function ranMs(job: Job): number | null {
  if (job.granted_at === null || job.ended_at === null) return null;
  return Date.parse(job.ended_at) - Date.parse(job.granted_at);
}

function ended(job: Job): Told {
  const name = targetName(job.consumer, job.model);
  const what = job.capability === null ? 'request' : job.capability;
  const [waited, ran] = [waitedMs(job), ranMs(job)];
  const times = [ran === null ? '' : `ran ${span(ran)}`, waited >= 50 ? `waited ${span(waited)}` : ''].filter(Boolean);
  const base = { consumer: job.consumer, job: job.id };
  if (job.end === 'done')
    return { ...base, text: `${name}: ${what} done, ${times.join(', ')}.`, tone: 'good', mark: '✓' };
  const how = ENDS[job.end ?? ''] ?? job.end ?? 'ended';
  const cause = job.message ?? job.code;
  const text = `${name}: ${what} ${how}${cause === null ? '' : `: ${cause}`}`;
  return { ...base, text, tone: job.end === 'cancelled' ? 'plain' : 'bad', mark: '×' };
}

const MOVES: Readonly<Record<string, readonly [string, string]>> = {
  loading: ['is being loaded', '↗'],
  resident: ['is on the card', '■'],
  evicting: ['is leaving the card', '↘'],
  absent: ['is off the card', '□'],
  parked: ['was stopped to free its memory', '‖'],
  stuck: ['does not give its memory back', '!'],
};

function moved(target: string, to: string, { text: why }: TargetMoved['reason']): Told {
  const [what, mark] = MOVES[to] ?? [`is ${to}`, '·'];
  const job = /\bj_\w+/.exec(why)?.[0] ?? null;
  // A load's job has the same target: its link says enough.
  const cause = /^loaded for j_\w+$/.test(why) ? '' : inGib(withoutIds(why));
  const text = `${target} ${what}${cause === '' ? '' : `: ${cause}`}`;
  return { text, consumer: splitTarget(target).consumer, job, tone: to === 'stuck' ? 'bad' : 'moved', mark };
}

function health(consumer: string, now: string, error: string | null): Told {
  const base = { consumer, job: null };
  if (now === 'down') {
    return { ...base, text: `${consumer} is down${error === null ? '' : `: ${error}`}`, tone: 'bad', mark: '!' };
  }
  return { ...base, text: `${consumer} is ${now === 'up' ? 'up' : 'not known to be up'}.`, tone: 'plain', mark: '·' };
}

function configChange(change: { consumers_added: readonly string[]; consumers_removed: readonly string[] }): string {
  const parts = [
    change.consumers_added.length === 0 ? '' : `added ${list(change.consumers_added)}`,
    change.consumers_removed.length === 0 ? '' : `removed ${list(change.consumers_removed)}`,
  ].filter(Boolean);
  return parts.length === 0 ? '' : `: ${parts.join('; ')}`;
}
