/** Requests per second and CPU time per request, slice by slice, the candidates in turn. */
import { type Candidate, inTurn } from './candidate.js';
import { loadFor } from './load.js';
import { cpuTimeUs } from './process-figures.js';
import { atLeast, type Bar, printTable } from './report.js';
import { median } from './statistics.js';

const ROUNDS = 9;
const SLICE_S = 2;
/** Half of what the bare relay does. */
const RATIO_TO_RELAY = 0.5;

interface Figures {
  readonly perSecond: number;
  readonly cpuUs: number | null;
  readonly failed: number;
  readonly p50Ms: number;
}

function measure({ url, pid }: Candidate): Figures {
  const before = pid === null ? null : cpuTimeUs(pid);
  const { requests, seconds, failed, p50Ms } = loadFor(SLICE_S, `${url}/v1/llm`);
  const cpuUs = pid === null || before === null ? null : (cpuTimeUs(pid) - before) / requests;
  return { perSecond: requests / seconds, cpuUs, failed, p50Ms };
}

export function compareThroughput(candidates: readonly Candidate[]): Bar[] {
  const figures = new Map<string, Figures[]>(candidates.map(({ name }) => [name, []]));
  for (const { url } of candidates) loadFor(SLICE_S, `${url}/v1/llm`);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const candidate of inTurn(candidates, round)) figures.get(candidate.name)?.push(measure(candidate));
  }
  const of = (name: string): readonly Figures[] => figures.get(name) ?? [];
  /** Of the same round: what the machine did meanwhile falls on both. */
  const ratio = (name: string, base: string): number | null => {
    const ratios = of(name).flatMap(({ perSecond }, round) => {
      const other = of(base)[round];
      return other === undefined ? [] : [perSecond / other.perSecond];
    });
    return ratios.length === 0 ? null : median(ratios);
  };
  const shown = (value: number | null, digits: number): string => (value === null ? '-' : value.toFixed(digits));
  const rows = candidates.map(({ name }) => {
    const cpu = of(name).flatMap(({ cpuUs }) => (cpuUs === null ? [] : [cpuUs]));
    return [
      name,
      shown(median(of(name).map(({ perSecond }) => perSecond)), 0),
      shown(ratio(name, 'relay'), 2),
      shown(ratio(name, 'nginx'), 2),
      shown(cpu.length === 0 ? null : median(cpu), 0),
      shown(median(of(name).map(({ p50Ms }) => p50Ms)), 1),
      String(of(name).reduce((sum, { failed }) => sum + failed, 0)),
    ];
  });
  printTable([
    [`small JSON, ${ROUNDS} rounds of ${SLICE_S} s`, 'req/s', 'of relay', 'of nginx', 'CPU us/req', 'p50 ms', 'failed'],
    ...rows,
  ]);
  const failed = of('mgpu').reduce((sum, each) => sum + each.failed, 0);
  return [
    atLeast("requests per second, as a share of the relay's", ratio('mgpu', 'relay') ?? 0, RATIO_TO_RELAY),
    { what: `requests that failed through mgpu: ${failed}, none may`, isMet: failed === 0 },
  ];
}
