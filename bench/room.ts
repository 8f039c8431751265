/**
 * Room on a pretend card, through the whole daemon in real time: `node dist/bench/room.js [JOBS] [EVICTIONS]`, 500 and
 * 300 unless said, 0 leaves a part out. A mixed crowd under vram-lru, under passthrough, and with runs that take 40 % more
 * than declared, long ones and short ones; then evictions of services that lie, hang and come late. Ends with 1 if a promise is broken.
 */
import { type Bar, printBars, printCircumstances, printTable } from './report.js';
import { type BadDaysResult, runBadDays } from './room/bad-days.js';
import { AS_DECLARED, type CrowdResult, runCrowd } from './room/crowd.js';

const [jobs = 500, evictions = 300] = process.argv.slice(2).map(Number);
const TRUE_OVER = 1.4;
/** Less than the smallest pause between two close looks. */
const SHORT_MS = 20;

const counted = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, times]) => `${name}: ${times}`)
    .join(', ') || 'none';
const isAll = (counts: Readonly<Record<string, number>>, name: string): boolean => counts[name] === jobs;
const bar = (what: string, isMet: boolean): Bar => ({ what, isMet });

function printCrowds(results: Readonly<Record<string, CrowdResult>>): void {
  printTable([
    ['crowd', 'refused by the card', 'evictions', 'stuck', 'longest s', 'wall s'],
    ...Object.entries(results).map(([name, one]) => [
      name,
      String(one.refusedByCard),
      String(one.evictions),
      String(one.stuck),
      one.longestS.toFixed(1),
      one.wallS.toFixed(1),
    ]),
  ]);
  for (const [name, one] of Object.entries(results)) {
    console.log(`\n${name}\n  answers: ${counted(one.answers)}; without an answer: ${one.lost}`);
    console.log(`  ends: ${counted(one.ends)}\n  out of memory: ${counted(one.outOfMemoryByTarget)}`);
    for (const text of one.complaints) console.log(`  said: ${text}`);
  }
}

async function runCrowds(): Promise<Bar[]> {
  const lru = await runCrowd('vram-lru', jobs);
  const crowded = await runCrowd('passthrough', jobs);
  const larger = await runCrowd('vram-lru', jobs, { ...AS_DECLARED, trueOver: TRUE_OVER });
  const short = await runCrowd('vram-lru', jobs, { trueOver: TRUE_OVER, runMs: SHORT_MS });
  printCrowds({
    'vram-lru': lru,
    passthrough: crowded,
    'vram-lru, true runs 40 % larger': larger,
    [`vram-lru, true runs 40 % larger, of ${SHORT_MS} ms`]: short,
  });
  return [
    bar('vram-lru: 0 out of memory', lru.refusedByCard === 0),
    bar(
      'vram-lru: 0 lost, every job is answered well and ends well',
      isAll(lru.answers, '200') && isAll(lru.ends, 'done'),
    ),
    bar('vram-lru: 0 stuck', lru.stuck === 0),
    bar('passthrough: does run out of memory', crowded.refusedByCard > 0),
    ...barsOfLarger('larger runs', larger),
    ...barsOfLarger('larger runs, short ones', short),
  ];
}

function barsOfLarger(name: string, { answers, ends, outOfMemoryByTarget }: CrowdResult): Bar[] {
  const most = Math.max(0, ...Object.values(outOfMemoryByTarget));
  const isWell = isAll(answers, '200') && isAll(ends, 'done');
  return [
    bar(`${name}: 0 lost, every job is answered well and ends well`, isWell),
    bar(`${name}: out of memory per target ${most}, at most 1`, most <= 1),
  ];
}

function printBadDays(bad: BadDaysResult): void {
  printTable([
    ['bad days', 'lies', 'hangs', 'late', 'stuck', 'healed', 'most used MiB', 'of MiB', 'longest s', 'wall s'],
    [
      `${bad.evictions} evictions`,
      ...[bad.lies, bad.hangs, bad.late, bad.stuck, bad.healed, bad.mostUsedMib, bad.cardMib].map(String),
      bad.longestS.toFixed(1),
      bad.wallS.toFixed(1),
    ],
  ]);
  console.log(
    `\n  answers: ${counted(bad.answers)}; without an answer: ${bad.lost}; stuck at the end: ${bad.stuckAtTheEnd}`,
  );
  for (const text of bad.complaints) console.log(`  said: ${text}`);
}

async function runBad(): Promise<Bar[]> {
  const bad = await runBadDays(evictions);
  printBadDays(bad);
  const isBounded = bad.lost === 0 && bad.longestS <= bad.boundS;
  return [
    bar('bad days: never over the card', bad.refusedByCard === 0 && bad.mostUsedMib <= bad.cardMib),
    bar(`bad days: longest wait ${bad.longestS.toFixed(1)} s, at most ${bad.boundS} s`, isBounded),
    bar('bad days: stuck is shown, and healed', bad.stuck > 0 && bad.healed > 0),
    bar('bad days: nobody is asked to run while it unloads', bad.refusedByServices === 0),
  ];
}

printCircumstances(`room on a pretend card: 8 clients, ${jobs} jobs; ${evictions} evictions`, [
  'daemon, services and clients share one process; services run 40 times as fast as they say',
]);
const bars = [...(jobs > 0 ? await runCrowds() : []), ...(evictions > 0 ? await runBad() : [])];
process.exit(printBars(bars));
