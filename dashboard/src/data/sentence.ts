/**
 * The one sentence on top: is it working, what has the card, who waits for what. Made from what the page knows and
 * nothing else; the worst comes first.
 */
import type { Consumer, Job, Reason, Status } from './wire.js';
import { count, gib, hostOf, list, targetName, timeOfDay, wholeSpan } from './words.js';
import type { World } from './world.js';

export interface Sentence {
  /** `past`: contact was lost, it tells how things stood. */
  readonly mood: 'calm' | 'busy' | 'trouble' | 'past';
  readonly text: string;
  /** What goes on beside the trouble; empty: nothing. */
  readonly more: string;
}

/** An out of memory is news for so long. */
const NEWS_MS = 5 * 60_000;
export const STALE_MS = 5000;

export function sentenceOf(world: World): Sentence {
  const { status, contact } = world;
  if (status === null) {
    const text = contact.kind === 'lost' ? 'The daemon does not answer. Trying again.' : 'Asking the daemon.';
    return { mood: contact.kind === 'lost' ? 'trouble' : 'calm', text, more: '' };
  }
  const work = workText(world, status);
  if (contact.kind === 'lost') return { mood: 'past', text: work.text, more: '' };
  const troubles = troublesOf(world, status);
  const [first] = troubles;
  if (first === undefined) return { mood: work.busy ? 'busy' : 'calm', text: work.text, more: '' };
  const [, second] = troubles;
  const others =
    second === undefined ? '' : troubles.length === 2 ? `${second} ` : `${troubles.length - 1} more troubles below. `;
  return { mood: 'trouble', text: first, more: `${others}${work.busy ? work.text : ''}`.trim() };
}

const NOBODY = 'No service stands behind this daemon yet. mgpu discover looks for some and prints a configuration.';

function troublesOf(world: World, status: Status): string[] {
  const entries = Object.entries(status.consumers);
  return [
    ...(entries.length === 0 ? [NOBODY] : []),
    ...entries.filter(([, { health }]) => health === 'down').map(([name, consumer]) => down(world, name, consumer)),
    ...entries
      .filter(([, consumer]) => consumer.residency === 'stuck')
      .map(([name, consumer]) => stuck(name, consumer)),
    ...outOfMemory(world),
    ...reading(status, world.now()),
    ...(status.config.error === null
      ? []
      : ['The configuration on disk was refused; the one before it stays in force.']),
    ...(status.state === 'draining' ? [draining(status)] : []),
  ];
}

function down(world: World, name: string, consumer: Consumer): string {
  const told = world.happenings.findLast((each) => each.event === 'consumer' && each.consumer === name);
  const since = told === undefined ? '' : ` since ${timeOfDay(told.at)}`;
  const host = hostOf(consumer.url);
  const cause = consumer.health_error === null ? '' : ` (${consumer.health_error.replace(` at ${host}`, '')})`;
  return `${name} does not answer on ${host}${since}${cause}. Look at its log, or start it.`;
}

function stuck(name: string, consumer: Consumer): string {
  const held = consumer.gpu_resident_mib === null ? 'its memory' : gib(consumer.gpu_resident_mib);
  return `${name} was asked to leave the card and keeps ${held}. It is asked again; restart it if it does not go.`;
}

function outOfMemory(world: World): string[] {
  const last = world.happenings.findLast((each) => each.event === 'out_of_memory');
  if (last?.event !== 'out_of_memory' || world.now() - last.at > NEWS_MS) return [];
  return [
    `${last.target} ran out of GPU memory at ${timeOfDay(last.at)}. Its size was raised, so that it gets more room next time.`,
  ];
}

function reading({ gpu }: Status, now: number): string[] {
  if (gpu.source === 'none') return [];
  const age = gpu.sampled_at === null ? null : now - Date.parse(gpu.sampled_at);
  if (age !== null && age <= STALE_MS) return [];
  if (age === null && gpu.error === null) return [];
  const cause = gpu.error === null ? '' : `: ${gpu.error}`;
  if (age === null) return [`The card cannot be read${cause}.`];
  return [`The card has not been read for ${wholeSpan(age)}${cause}. Jobs go on with the sizes known so far.`];
}

/** The places are the daemon's; what came after the last snapshot has none yet and stands last. */
function inOrder(waiting: Job[]): Job[] {
  return waiting.sort((a, b) => (a.position ?? Infinity) - (b.position ?? Infinity) || 0);
}

function draining({ scheduler }: Status): string {
  const rest =
    scheduler.in_flight === 0 ? 'nothing runs any more' : `${count(scheduler.in_flight, 'job')} still running`;
  return `No new jobs are taken: ${rest}. Resume to go on.`;
}

function workText(world: World, status: Status): { readonly busy: boolean; readonly text: string } {
  const jobs = [...world.jobs.values()];
  const running = jobs.filter(({ state }) => state === 'running');
  const waiting = jobs.filter(({ state }) => state === 'waiting');
  const depth = Math.max(waiting.length, status.jobs_omitted > 0 ? status.scheduler.queue_depth : 0);
  // What loads by its job is told by the job.
  const working = new Set(running.map(({ consumer }) => consumer));
  const moving = Object.entries(status.consumers).flatMap(([name, { residency }]) =>
    working.has(name) ? [] : movement(name, residency),
  );
  const parts = [...running.slice(0, 3).map(doing), ...moving];
  if (running.length > 3) parts.push(`${running.length - 3} more run`);
  const waits = depth === 0 ? '' : ` ${count(depth, 'job waits', 'jobs wait')}${whatFor(inOrder(waiting), depth)}.`;
  if (parts.length === 0 && depth === 0) return { busy: false, text: quiet(status) };
  return { busy: true, text: `${parts.length === 0 ? 'Nothing runs.' : `${list(parts)}.`}${waits}` };
}

const VERBS: Readonly<Record<string, string>> = {
  llm: 'is answering',
  tts: 'is speaking',
  stt: 'is listening',
  image: 'is making a picture',
};

function doing({ consumer, model, capability }: Job): string {
  const verb = VERBS[capability ?? ''] ?? 'is working';
  return `${consumer} ${verb}${model === null ? '' : ` with ${model}`}`;
}

function movement(name: string, residency: string): string[] {
  if (residency === 'loading') return [`${name} is being loaded`];
  if (residency === 'evicting') return [`${name} is leaving the card`];
  return [];
}

const MOST_CLAUSES = 3;

/** A clause for each target that is waited for, a few at most. */
function whatFor(waiting: readonly Job[], depth: number): string {
  const clauses = new Map<string, string>();
  let told = 0;
  for (const job of waiting) {
    const name = targetName(job.consumer, job.model);
    if (!clauses.has(name)) {
      if (clauses.size === MOST_CLAUSES) continue;
      clauses.set(name, clause(name, job));
    }
    told += 1;
  }
  const others = depth - told;
  const more = others <= 0 ? [] : [count(others, 'more', 'more')];
  return clauses.size === 0 ? '' : `: ${[...clauses.values(), ...more].join('; ')}`;
}

function clause(name: string, { reason, expected_wait_ms: expectedMs }: Job): string {
  const time =
    expectedMs === null || expectedMs < 1000 ? '' : ` (about ${wholeSpan(Math.ceil(expectedMs / 1000) * 1000)})`;
  if (reason?.code === 'taking_in') return `the request for ${name} is still arriving`;
  return `${name} ${reason === null ? 'waits for its turn' : why(name, reason)}${time}`;
}

/** What must happen first, and who has to do it. */
function why(name: string, reason: Reason): string {
  const missing = reason.need_mib !== null && reason.free_mib !== null ? reason.need_mib - reason.free_mib : 0;
  const needs = missing > 0 ? `needs ${gib(missing)} more` : 'needs room';
  const other = reason.waits_for;
  switch (reason.code) {
    case 'state_unknown':
      return 'waits for its first health check';
    case 'measuring':
      return `goes next, once ${other === null ? 'the card has been read' : `${other} has said what it works on`}`;
    case 'behind':
      return other === null ? 'goes after another job' : `goes after ${other}`;
    case 'turn_busy':
    case 'draining':
      return other === null ? 'waits for its turn' : `waits until ${other} has finished`;
    case 'unverified':
      return `${needs}, ${other ?? 'another'} is giving its memory back`;
    case 'loading':
    case 'load_queue':
      return other === name ? 'is being loaded or unloaded' : `waits while ${other ?? 'another'} is loaded or unloaded`;
    case 'foreign_work':
      return `${needs}, but ${other ?? 'another'} works for somebody who did not come through here`;
    case 'protected':
      return `${needs}, ${other ?? 'another'} stays a moment`;
    case 'no_room':
      return `${needs}${other === null ? '' : `, held by ${other}`}`;
    case 'cooling_down':
      return 'failed to load and is tried again soon';
    default:
      return missing > 0 ? needs : 'waits for its turn';
  }
}

function quiet(status: Status): string {
  const entries = Object.entries(status.consumers);
  if (status.state === 'starting') return 'Starting: the services are being asked whether they are there.';
  const resident = entries.filter(([, { residency }]) => residency === 'resident').map(([name]) => name);
  const [card] = status.gpu.cards;
  const spare = card?.free_mib == null ? null : card.free_mib - (card.claimed_mib ?? 0) - (status.gpu.reserve_mib ?? 0);
  const free = spare === null ? '' : ` ${gib(Math.max(0, spare))} are free.`;
  const held = resident.length === 0 ? '' : ` ${list(resident)} ${resident.length === 1 ? 'is' : 'are'} on the card.`;
  return `All is well, nothing waits.${held}${free}`;
}
