/** How much later an event of a stream arrives through each candidate than straight from the service. */
import { request } from 'node:http';
import { type Candidate, inTurn } from './candidate.js';
import { atMost, type Bar, printTable } from './report.js';
import { median, quantile } from './statistics.js';

const ROUNDS = 12;
const EVENTS_A_ROUND = 50;
const ABOVE_RELAY_MS = 0.5;

/** From the service's write to our read, one value an event. */
function latenciesMs({ url }: Candidate): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const latencies: number[] = [];
    const headers = { 'Content-Type': 'application/json', 'Content-Length': 2 };
    const asked = request(`${url}/v1/tts`, { method: 'POST', headers, agent: false }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`${url} answered ${answer.statusCode}`));
      answer.setEncoding('utf8').on('data', (text: string) => {
        const now = process.hrtime.bigint();
        for (const [, sent = '0'] of text.matchAll(/data: (\d+)\n\n/g))
          latencies.push(Number(now - BigInt(sent)) / 1e6);
        if (latencies.length < EVENTS_A_ROUND) return;
        asked.destroy();
        resolve(latencies);
      });
    });
    asked.once('error', reject);
    asked.end('{}');
  });
}

export async function compareEventLatency(candidates: readonly Candidate[]): Promise<Bar[]> {
  const rounds = new Map<string, number[][]>(candidates.map(({ name }) => [name, []]));
  for (const candidate of candidates) await latenciesMs(candidate);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const candidate of inTurn(candidates, round)) rounds.get(candidate.name)?.push(await latenciesMs(candidate));
  }
  const of = (name: string): readonly number[][] => rounds.get(name) ?? [];
  /** Of the same round, as with requests per second. */
  const addedMs = (name: string, base: string, share: number): number =>
    median(of(name).map((own, round) => quantile(own, share) - quantile(of(base)[round] ?? [], share)));
  const pooled = (name: string, share: number): number => quantile(of(name).flat(), share);
  printTable([
    [`an event every 20 ms, ${ROUNDS * EVENTS_A_ROUND} events, ms`, 'p50', 'p99', 'p50 added', 'p99 added'],
    ...candidates.map(({ name }) => [
      name,
      pooled(name, 0.5).toFixed(2),
      pooled(name, 0.99).toFixed(2),
      addedMs(name, 'direct', 0.5).toFixed(2),
      addedMs(name, 'direct', 0.99).toFixed(2),
    ]),
  ]);
  return [atMost("latency of an event, p50 above the relay's", addedMs('mgpu', 'relay', 0.5), ABOVE_RELAY_MS, 'ms')];
}
