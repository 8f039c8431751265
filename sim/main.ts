/**
 * The simulation from the command line: `--seeds N [--from K] [--policy all|NAME] [--faults auto|none|all|A+B] [--quiet]`
 * runs a row of seeds and prints what was counted; `--seed N` runs one and prints everything that happened.
 * Exit code 1 when a judge complained.
 */
import { parseArgs } from 'node:util';
import { POLICY_NAMES, type PolicyName } from '../src/core/vocabulary.js';
import { type FaultName, mixOfSeed, parseMix } from './faults.js';
import { type Counts, newCounts, runSeed, sumUp } from './run.js';

const STORIES_MAX = 3;
const SIMULATED = POLICY_NAMES.filter((name) => name !== 'swap-aware');

function main(): number {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      seed: { type: 'string' },
      policy: { type: 'string', default: 'all' },
      faults: { type: 'string', default: 'auto' },
      quiet: { type: 'boolean', default: false },
    },
  });
  const policies = policiesOf(values.policy);
  const mixOf = (seed: number): FaultName[] => (values.faults === 'auto' ? mixOfSeed(seed) : parseMix(values.faults));
  if (values.seed !== undefined)
    return showOne(Number(values.seed), policies[0] ?? 'vram-lru', mixOf(Number(values.seed)));
  return runRow(Number(values.from), Number(values.seeds), policies, mixOf, values.quiet);
}

function policiesOf(text: string): readonly PolicyName[] {
  if (text === 'all') return SIMULATED;
  const known = SIMULATED.find((name) => name === text);
  if (known === undefined) throw new Error(`no policy is called ${text}; there are: all, ${SIMULATED.join(', ')}`);
  return [known];
}

function showOne(seed: number, policy: PolicyName, mix: readonly FaultName[]): number {
  const report = runSeed({ seed, policy, mix, hashed: true, print: (line) => console.log(line) });
  for (const complaint of report.complaints) console.log(`COMPLAINT ${complaint}`);
  console.log(`sha256 of the trace: ${report.sum}`);
  return report.complaints.length === 0 ? 0 : 1;
}

function runRow(
  from: number,
  seeds: number,
  policies: readonly PolicyName[],
  mixOf: (seed: number) => FaultName[],
  quiet: boolean,
): number {
  const startedAt = performance.now();
  const totals = new Map(policies.map((policy) => [policy, newCounts()]));
  let failed = 0;
  for (let seed = from; seed < from + seeds; seed++) {
    for (const [policy, total] of totals) {
      const report = runSeed({ seed, policy, mix: mixOf(seed) });
      sumUp(total, report);
      if (report.story === null) continue;
      failed += 1;
      console.log(failed <= STORIES_MAX ? `${report.story}\n` : `${report.story.split('\n').slice(0, 2).join('\n')}\n`);
    }
  }
  if (!quiet) for (const [policy, total] of totals) printCounts(policy, total);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${seeds} seeds from ${from} under ${policies.join(', ')}: ${failed} runs with complaints, ${seconds} s`);
  return failed === 0 ? 0 : 1;
}

function printCounts(policy: PolicyName, total: Counts): void {
  console.log(`${policy}: ${total.jobs} jobs, ${total.steps} steps, ${total.outOfMemories} out of memory`);
  for (const key of ['ends', 'moves', 'faults'] as const) {
    console.log(`  ${key}`);
    for (const [name, times] of [...total[key]].sort(([a], [b]) => (a < b ? -1 : 1))) {
      console.log(`    ${name.padEnd(40)} ${String(times).padStart(9)}`);
    }
  }
}

process.exitCode = main();
