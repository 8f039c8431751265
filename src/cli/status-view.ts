/** `/v1/status` as lines for a person: the sentence, the cards, the queue, the consumers. Owns no state. */
import type { JsonView } from './json-view.js';
import { consumerLines } from './status-consumers.js';
import { cell, count, cut, duration, expectedWait, gib, UNKNOWN, wrap } from './words.js';

/** From here on a reason has room beside its job; below, it takes a line of its own. */
const WIDE = 120;
const WIDE_HEAD = 78;

/** What was known of the daemon's own clock when it answered: times in its answer are only compared with it. */
export function daemonTime(status: JsonView): number | null {
  const started = status.time('started_at');
  const uptimeS = status.number('uptime_s');
  const sampled = status.at('gpu').time('sampled_at');
  const ageMs = status.at('gpu').number('age_ms');
  const guesses = [
    ...(started === null || uptimeS === null ? [] : [started + uptimeS * 1000]),
    // To the millisecond, where the uptime is in whole seconds.
    ...(sampled === null || ageMs === null ? [] : [sampled + ageMs]),
  ];
  return guesses.length === 0 ? null : Math.max(...guesses);
}

export function statusLines(status: JsonView, width: number): string[] {
  const now = daemonTime(status);
  return [
    ...wrap(sentence(status, now), width),
    ...refusedConfiguration(status, width),
    '',
    ...cardLines(status.at('gpu'), width),
    ...queueLines(status, now, width),
    '',
    ...consumerLines(status.members('consumers'), now, width),
  ].map((line) => cut(line, width).trimEnd());
}

function sentence(status: JsonView, now: number | null): string {
  const waiting = status.at('scheduler').number('queue_depth');
  const parts = [
    runningPart(status.list('jobs').filter(isRunning), now),
    waiting === null
      ? 'how many wait is unknown'
      : waiting === 0
        ? 'nobody waits'
        : count(waiting, 'job waits', 'jobs wait'),
  ];
  const down = status
    .members('consumers')
    .flatMap(([name, consumer]) => (consumer.text('health') === 'down' ? [name] : []));
  if (down.length > 0) parts.push(`${down.join(', ')} ${down.length === 1 ? 'is' : 'are'} down`);
  return `${status.text('state') ?? UNKNOWN}. ${parts.join('; ')}.`;
}

const isRunning = (job: JsonView): boolean => job.text('state') === 'running';

function runningPart([first, ...more]: readonly JsonView[], now: number | null): string {
  if (first === undefined) return 'nothing runs';
  const model = first.text('model');
  const runMs = runMsOf(first, now);
  return [
    `${first.text('consumer') ?? UNKNOWN} is ${first.flag('answered') === true ? 'answering' : 'working'}`,
    model === null ? '' : ` with ${model}`,
    runMs === null ? '' : `, for ${Math.round(runMs / 1000)} s`,
    more.length === 0 ? '' : `, and ${count(more.length, 'more job runs', 'more jobs run')}`,
  ].join('');
}

/** A job that runs stopped waiting when it was granted. */
function runMsOf(job: JsonView, now: number | null): number | null {
  const queued = job.time('queued_at');
  const waitedMs = job.number('waited_ms');
  return now === null || queued === null || waitedMs === null ? null : Math.max(0, now - queued - waitedMs);
}

function refusedConfiguration(status: JsonView, width: number): string[] {
  const error = status.at('config').text('error');
  if (error === null) return [];
  const [first = '', ...more] = error.split('\n');
  const rest = more.length === 0 ? '' : ` (and ${more.length} more)`;
  return ['', ...wrap(`The configuration file was refused, the one before stays in force: ${first}${rest}`, width)];
}

function cardLines(gpu: JsonView, width: number): string[] {
  const cards = gpu.list('cards').flatMap((card) => oneCard(card, width));
  const error = gpu.text('error');
  if (error !== null) return [...cards, ...wrap(`The card cannot be read: ${error}`, width)];
  if (cards.length > 0) return cards;
  return [gpu.text('source') === 'none' ? 'Card: not read (gpu.source is none)' : 'Card: not read yet'];
}

function oneCard(card: JsonView, width: number): string[] {
  const used = card.number('used_mib');
  const total = card.number('total_mib');
  const figure = (key: string, unit: string): string => `${card.number(key)?.toFixed(0) ?? UNKNOWN} ${unit}`;
  const figures = [figure('utilization_pct', '%'), figure('temperature_c', '°C'), figure('power_w', 'W')].join('  ');
  const name = `Card ${card.number('index') ?? UNKNOWN}  ${card.text('name') ?? UNKNOWN}`;
  const amounts = `${gib(used)} of ${gib(total)} GiB used, ${gib(card.number('free_mib'))} free`;
  const barWidth = Math.max(8, width - amounts.length - 2);
  return [`${cell(name, width - figures.length - 2)}  ${figures}`, `${bar(used, total, barWidth)}  ${amounts}`];
}

/** Full blocks are used, light ones free; a dash is unknown. Something that is used shows, however small. */
function bar(used: number | null, total: number | null, width: number): string {
  if (used === null || total === null || total <= 0) return UNKNOWN.repeat(width);
  const exact = Math.round((used / total) * width);
  const full = Math.min(width, used > 0 ? Math.max(1, exact) : 0);
  return '█'.repeat(full) + '░'.repeat(width - full);
}

function queueLines(status: JsonView, now: number | null, width: number): string[] {
  const jobs = status.list('jobs');
  if (jobs.length === 0) return [];
  // Figures stand in one column, whoever runs or waits.
  const jobWidth = width < WIDE ? width : WIDE_HEAD;
  const omitted = status.number('jobs_omitted') ?? 0;
  const more = omitted === 0 ? [] : [`     and ${count(omitted, 'more job waits', 'more jobs wait')}`];
  return [
    '',
    ...jobs.flatMap((job) => (isRunning(job) ? runningJob(job, now, jobWidth) : waitingJob(job, width))),
    ...more,
  ];
}

function runningJob(job: JsonView, now: number | null, width: number): string[] {
  return [jobLine('run', job, `runs ${duration(runMsOf(job, now))}`, width)];
}

function waitingJob(job: JsonView, width: number): string[] {
  const expected = expectedWait(job.number('expected_wait_ms'));
  const reason = job.at('reason').text('text');
  const position = String(job.number('position') ?? UNKNOWN);
  const time = `waits ${duration(job.number('waited_ms'))}${expected}`;
  if (width < WIDE)
    return [jobLine(position, job, time, width), ...(reason === null ? [] : wrap(reason, width, '     '))];
  const head = `${cell(jobLine(position, job, time, WIDE_HEAD), WIDE_HEAD)}  `;
  const [first = '', ...more] = wrap(reason ?? UNKNOWN, width, ' '.repeat(head.length));
  return [head + first.slice(head.length), ...more];
}

function jobLine(position: string, job: JsonView, time: string, width: number): string {
  const model = job.text('model');
  const what = `${job.text('consumer') ?? UNKNOWN}${model === null ? '' : ` ${model}`}`;
  const left = `${cell(position, 4, 'right')} ${cell(job.text('id') ?? UNKNOWN, 22)} `;
  return `${left}${cell(what, Math.max(8, width - left.length - time.length - 2))}  ${time}`;
}
