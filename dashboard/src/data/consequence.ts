/** What an action will do, said before it is done. Keeps nothing. */
import type { Happening } from './happening.js';
import type { Consumer } from './wire.js';
import { count, gib, span, splitTarget } from './words.js';

export interface Action {
  readonly kind: 'load' | 'evict' | 'pin' | 'unpin' | 'cancel' | 'drain' | 'resume';
  /** A target's name, a job's id, or empty. */
  readonly subject: string;
}

export interface Asked {
  readonly title: string;
  readonly consequence: string;
  readonly button: string;
  readonly method: 'POST' | 'DELETE';
  readonly path: string;
}

export interface Known {
  readonly consumers: Readonly<Record<string, Consumer>>;
  readonly happenings: readonly Happening[];
  readonly running: number;
  readonly waiting: number;
}

export function asked({ kind, subject }: Action, known: Known): Asked {
  if (kind === 'cancel') return cancel(subject);
  if (kind === 'drain') return drain(known);
  if (kind === 'resume') {
    const consequence = `New jobs are taken again; ${count(known.waiting, 'job')} waiting go on.`;
    return { title: 'Resume?', consequence, button: 'Resume', method: 'POST', path: '/v1/resume' };
  }
  const { consumer, model } = splitTarget(subject);
  const query = model === null ? '' : `?model=${encodeURIComponent(model)}`;
  const path = `/v1/consumers/${encodeURIComponent(consumer)}/${kind}${query}`;
  return { ...WORDS[kind](subject, known), method: 'POST', path };
}

function cancel(id: string): Asked {
  const consequence =
    'Its client is told that an operator cancelled it. What has run so far is lost; the jobs behind it move up.';
  return { title: `Cancel ${id}?`, consequence, button: 'Cancel the job', method: 'DELETE', path: `/v1/jobs/${id}` };
}

function drain({ running, waiting }: Known): Asked {
  const consequence = `New jobs are refused until you resume. ${count(running, 'job')} running and ${waiting} waiting are not broken off.`;
  return { title: 'Stop taking jobs?', consequence, button: 'Drain', method: 'POST', path: '/v1/drain' };
}

type Words = Pick<Asked, 'title' | 'consequence' | 'button'>;

const WORDS: Readonly<Record<'load' | 'evict' | 'pin' | 'unpin', (target: string, known: Known) => Words>> = {
  load: (target, known) => ({
    title: `Load ${target}?`,
    consequence: `It needs ${size(target, known)}${loadTime(', usually in', target, known)}. What is idle may be evicted to make room; nothing that runs is broken off.`,
    button: 'Load',
  }),
  evict: (target, known) => ({
    title: `Evict ${target}?`,
    consequence: `Evicting ${target} breaks off nothing${firstFinishes(target, known)}. It gives back ${size(target, known)}; its next job waits${loadTime('', target, known)} for the load.`,
    button: 'Evict',
  }),
  pin: (target) => ({
    title: `Pin ${target}?`,
    consequence: `${target} is never evicted to make room until you unpin it. Jobs that need its room wait, or are refused where they can never fit.`,
    button: 'Pin',
  }),
  unpin: (target) => ({
    title: `Unpin ${target}?`,
    consequence: `${target} may be evicted again when others need the room.`,
    button: 'Unpin',
  }),
};

function held(target: string, { consumers }: Known): number | null {
  const { consumer, model } = splitTarget(target);
  const known = consumers[consumer];
  if (model === null) return known?.gpu_resident_mib ?? null;
  return known?.models.find(({ name }) => name === model)?.gpu_resident_mib ?? null;
}

function size(target: string, known: Known): string {
  const mib = held(target, known);
  return mib === null ? 'an amount of memory that is not known yet' : gib(mib);
}

function firstFinishes(target: string, { consumers }: Known): string {
  const active = consumers[splitTarget(target).consumer]?.active ?? 0;
  return active === 0 ? '' : `: it waits until ${count(active, 'running job')} ${active === 1 ? 'has' : 'have'} ended`;
}

/** The median of the loads that the page remembers, `said` before it; empty: none. */
function loadTime(said: string, target: string, { happenings }: Known): string {
  const tookMs: number[] = [];
  let begun: number | null = null;
  for (const each of happenings) {
    if (each.event !== 'target' || each.target !== target) continue;
    if (each.to === 'resident' && begun !== null) tookMs.push(each.at - begun);
    begun = each.to === 'loading' ? each.at : null;
  }
  const median = tookMs.sort((a, b) => a - b)[Math.floor(tookMs.length / 2)];
  return median === undefined ? '' : `${said} about ${span(Math.max(1000, median))}`;
}
