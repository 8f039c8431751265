/** One seed under one policy with one mix of faults: the world runs, the judges watch, the counts are taken. */
import type { Fact } from '../src/core/facts.js';
import type { PolicyName } from '../src/core/vocabulary.js';
import type { StepFunction, StepRecord } from './daemon.js';
import { type FaultName, mixName } from './faults.js';
import { allJudges } from './judges/all.js';
import { Court } from './judges/court.js';
import { Trace } from './trace.js';
import { World } from './world.js';

export interface RunOptions {
  readonly seed: number;
  readonly policy: PolicyName;
  readonly mix: readonly FaultName[];
  readonly step?: StepFunction;
  readonly otherOrder?: boolean;
  /** A sum over the whole trace is taken. */
  readonly hashed?: boolean;
  readonly print?: (line: string) => void;
}

/** What was counted, by name; sums over runs are taken by adding. */
export interface Counts {
  readonly faults: Map<string, number>;
  /** `from -> to`. */
  readonly moves: Map<string, number>;
  /** By end and code. */
  readonly ends: Map<string, number>;
  steps: number;
  outOfMemories: number;
  jobs: number;
}

export interface RunReport {
  readonly complaints: readonly string[];
  readonly counts: Counts;
  /** Of the whole trace; empty unless asked for. */
  readonly sum: string;
  /** How to see it again, and the last of what happened; only where a judge complained. */
  readonly story: string | null;
}

const TAIL = 60;
const STEPS_MAX = 400_000;

export function newCounts(): Counts {
  return { faults: new Map(), moves: new Map(), ends: new Map(), steps: 0, outOfMemories: 0, jobs: 0 };
}

export function runSeed(options: RunOptions): RunReport {
  const counts = newCounts();
  const trace = new Trace({
    keep: TAIL,
    hashed: options.hashed === true,
    ...(options.print === undefined ? {} : { print: options.print }),
  });
  let court: Court | null = null;
  const watch = (world: World, record: StepRecord): void => {
    court ??= new Court(world, allJudges);
    trace.add(record);
    count(counts, record);
    if (counts.steps > STEPS_MAX) throw new Error(`more than ${STEPS_MAX} steps`);
    court.see(record);
  };
  const world = new World({ ...options, watch });
  court = new Court(world, allJudges);
  const complaints = play(world, court);
  for (const [fault, times] of world.faults.counts) add(counts.faults, fault, times);
  const story = complaints.length === 0 ? null : [head(options), ...complaints, ...trace.tail()].join('\n');
  return { complaints, counts, sum: trace.sum(), story };
}

/** `step` is total: what it throws is a complaint, whoever of ours threw it. */
function play(world: World, court: Court): readonly string[] {
  try {
    world.run();
    court.finish();
  } catch (error) {
    court.complaints.unshift(
      `${world.timeline.now} threw: ${error instanceof Error ? (error.stack ?? error.message) : error}`,
    );
  }
  return court.complaints;
}

function head({ seed, policy, mix }: RunOptions): string {
  const again = `node dist/sim/main.js --seed ${seed} --policy ${policy} --faults ${mixName(mix)}`;
  return `seed ${seed}, policy ${policy}, faults ${mixName(mix)}; again: ${again}`;
}

export function add(counts: Map<string, number>, name: string, times = 1): void {
  counts.set(name, (counts.get(name) ?? 0) + times);
}

function count(counts: Counts, { commands, event }: StepRecord): void {
  counts.steps += 1;
  if (event.type === 'JobAnnounced') counts.jobs += 1;
  for (const command of commands) if (command.type === 'RecordFact') countFact(counts, command.fact);
}

function countFact(counts: Counts, fact: Fact): void {
  if (fact.type === 'target') add(counts.moves, `${fact.from} -> ${fact.to}`);
  if (fact.type === 'out_of_memory') counts.outOfMemories += 1;
  if (fact.type !== 'job' || fact.change !== 'ended') return;
  const { outcome } = fact.job;
  add(counts.ends, outcome?.code == null ? `${outcome?.end}` : `${outcome.end} ${outcome.code}`);
}

export function sumUp(total: Counts, { counts }: RunReport): void {
  for (const key of ['faults', 'moves', 'ends'] as const) {
    for (const [name, times] of counts[key]) add(total[key], name, times);
  }
  total.steps += counts.steps;
  total.outOfMemories += counts.outOfMemories;
  total.jobs += counts.jobs;
}
