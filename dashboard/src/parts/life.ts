/** A job's life as a strip: taken in, waiting reason by reason, load, run, end. Pure. */
import type { Happening } from '../data/happening.js';
import type { Job } from '../data/wire.js';
import { inGib, targetName } from '../data/words.js';

export interface Phase {
  readonly kind: 'taken-in' | 'waiting' | 'load' | 'run';
  readonly title: string;
  readonly text: string;
  readonly from: number;
  readonly to: number;
}

export function lifeOf(job: Job, happenings: readonly Happening[], now: number): Phase[] {
  const queuedAt = Date.parse(job.queued_at);
  const end = job.ended_at === null ? now : Date.parse(job.ended_at);
  const granted = grantedAt(job);
  return [...waits(job, queuedAt, granted ?? end), ...(granted === null ? [] : runs(job, happenings, granted, end))];
}

function grantedAt(job: Job): number | null {
  if (job.granted_at !== null) return Date.parse(job.granted_at);
  return job.state === 'running' && job.waited_ms !== null ? Date.parse(job.queued_at) + job.waited_ms : null;
}

function waits(job: Job, from: number, to: number): Phase[] {
  const current = job.reason === null ? [] : [{ ...job.reason, at: job.queued_at }];
  const reasons = job.reasons.length > 0 ? job.reasons : current;
  if (reasons.length === 0) {
    return to - from < 1 ? [] : [{ kind: 'waiting', title: 'Waited', text: 'no reason was kept', from, to }];
  }
  return reasons.map((reason, index) => {
    const next = reasons[index + 1];
    const taking = reason.code === 'taking_in';
    return {
      kind: taking ? 'taken-in' : 'waiting',
      title: taking ? 'Taken in' : 'Waited',
      text: inGib(reason.text),
      from: Date.parse(reason.at),
      to: next === undefined ? to : Date.parse(next.at),
    };
  });
}

function runs(job: Job, happenings: readonly Happening[], from: number, to: number): Phase[] {
  const target = targetName(job.consumer, job.model);
  const begun = happenings.find(
    (each) =>
      each.event === 'target' &&
      each.to === 'loading' &&
      isAbout(each.target, target, job) &&
      each.at >= from - 60_000 &&
      each.at <= to,
  );
  const loaded =
    begun &&
    happenings.find(
      (each) =>
        each.event === 'target' && each.to === 'resident' && isAbout(each.target, target, job) && each.at > begun.at,
    );
  const loadEnd = loaded === undefined || begun === undefined ? from : Math.min(to, Math.max(from, loaded.at));
  const run: Phase = {
    kind: 'run',
    title: job.state === 'ended' ? 'Ran' : 'Runs',
    text: `${job.consumer} worked for it`,
    from: loadEnd,
    to,
  };
  if (loadEnd - from < 50) return [run];
  return [{ kind: 'load', title: 'Loaded', text: `${target} came onto the card`, from, to: loadEnd }, run];
}

const isAbout = (moved: string, target: string, job: Job): boolean => moved === target || moved === job.consumer;
