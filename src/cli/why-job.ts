/** The story of one job, in lines: what it waited for, how long, and how it ended. Owns no state. */
import type { JsonView } from './json-view.js';
import { clockTime, cut, dateAndTime, duration, expectedWait, UNKNOWN, wrap } from './words.js';

/** The daemon keeps so many reasons of one job: the first, and the newest. */
const KEPT_REASONS = 32;
const TIME_WIDTH = '14:03:02  '.length;

export function jobHistory(job: JsonView, width: number): string[] {
  const queued = job.time('queued_at');
  const head = [titleOf(job), `from ${job.text('client') ?? UNKNOWN}`, `class ${job.text('class') ?? UNKNOWN}`];
  return [
    ...wrap(head.join(', '), width),
    `came ${dateAndTime(queued)} (local time)`,
    '',
    ...reasonLines(job, width),
    ...courseLines(job, width),
  ];
}

/** One line, and another for what it waits for or how it failed. */
export function jobSummary(job: JsonView, width: number): string[] {
  const detail = job.text('state') === 'waiting' ? job.at('reason').text('text') : job.text('message');
  return [
    cut(`${clockTime(job.time('queued_at'))}  ${titleOf(job)}, ${stateOf(job)}`, width),
    ...(detail === null ? [] : wrap(detail, width, ' '.repeat(TIME_WIDTH))),
  ];
}

function titleOf(job: JsonView): string {
  const model = job.text('model');
  return `${job.text('id') ?? UNKNOWN}  ${job.text('consumer') ?? UNKNOWN}${model === null ? '' : ` ${model}`}`;
}

function stateOf(job: JsonView): string {
  const state = job.text('state');
  if (state === 'waiting') return `waits ${duration(job.number('waited_ms'))}`;
  if (state === 'running') return `runs ${duration(job.number('run_ms'))}`;
  const end = endWords(job);
  const runMs = job.number('run_ms');
  return runMs === null
    ? `${end} after waiting ${duration(job.number('waited_ms'))}`
    : `${end} after running ${duration(runMs)}`;
}

function endWords(job: JsonView): string {
  const end = (job.text('end') ?? UNKNOWN).replaceAll('_', ' ');
  const code = job.text('code');
  return code === null ? end : `${end} (${code})`;
}

function reasonLines(job: JsonView, width: number): string[] {
  const reasons = job.list('reasons');
  return reasons.flatMap((reason, index) => {
    const at = reason.time('at');
    const until = reasons[index + 1]?.time('at') ?? waitEnd(job);
    // Where later reasons were dropped, nobody knows how long the first one held.
    const gap = index === 0 && reasons.length >= KEPT_REASONS;
    const heldMs = at === null || until === null || gap ? null : until - at;
    const held = `for ${duration(heldMs)}${gap ? ' (some that followed are not kept)' : ''}`;
    return timed(at, `${reason.text('text') ?? UNKNOWN}, ${held}`, width);
  });
}

/** When it stopped waiting; for one that still waits, the moment of the answer. */
function waitEnd(job: JsonView): number | null {
  const queued = job.time('queued_at');
  const waitedMs = job.number('waited_ms');
  return job.time('granted_at') ?? (queued === null || waitedMs === null ? null : queued + waitedMs);
}

function courseLines(job: JsonView, width: number): string[] {
  const granted = job.time('granted_at');
  const firstByte = job.time('first_byte_at');
  const ended = job.time('ended_at');
  const lines: string[] = [];
  if (granted !== null)
    lines.push(...timed(granted, `got the card after waiting ${duration(job.number('waited_ms'))}`, width));
  if (firstByte !== null) {
    lines.push(
      ...timed(
        firstByte,
        `first byte of the answer${granted === null ? '' : `, ${duration(firstByte - granted)} later`}`,
        width,
      ),
    );
  }
  if (ended === null) return [...lines, '', ...wrap(now(job), width)];
  const message = job.text('message');
  return [...lines, ...timed(ended, `${stateOf(job)}${message === null ? '' : `: ${message}`}`, width)];
}

/** What one may expect of a job that has not ended. */
function now(job: JsonView): string {
  const position = job.number('position');
  const place = position === null ? '' : `, number ${position} of those that wait`;
  return `It ${stateOf(job)}${place}${expectedWait(job.number('expected_wait_ms'))}.`;
}

function timed(at: number | null, text: string, width: number): string[] {
  const [first = '', ...more] = wrap(text, width, ' '.repeat(TIME_WIDTH));
  return [clockTime(at).padEnd(TIME_WIDTH) + first.slice(TIME_WIDTH), ...more];
}
