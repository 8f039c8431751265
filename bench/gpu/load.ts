/** 8 clients, 48 jobs in an order that a seed decides; counts how they end. */
import { request } from 'node:http';
import { SPECS } from './consumers.js';

export interface LoadResult {
  readonly jobs: number;
  readonly done: number;
  readonly out_of_memory: number;
  readonly other: readonly string[];
  readonly wall_s: number;
}

const CLIENTS = 8;

export async function runLoad(url: string, label: string, jobs = 48): Promise<LoadResult> {
  const startedAt = performance.now();
  const order = shuffled(Array.from({ length: jobs }, (_, index) => SPECS[index % SPECS.length]?.name ?? 'a'));
  const ends: string[] = [];
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      for (let name = order.pop(); name !== undefined; name = order.pop())
        ends.push(await post(`${url}/consumers/${name}/${label}`));
    }),
  );
  return {
    jobs,
    done: ends.filter((end) => end === 'done').length,
    out_of_memory: ends.filter((end) => end === 'out of memory').length,
    other: ends.filter((end) => end !== 'done' && end !== 'out of memory'),
    wall_s: Math.round((performance.now() - startedAt) / 10) / 100,
  };
}

/** Park and Miller's generator: the same order each time. */
function shuffled<T>(list: T[]): T[] {
  let seed = 20_261_127;
  for (let at = list.length - 1; at > 0; at--) {
    seed = (seed * 48_271) % 2_147_483_647;
    const other = seed % (at + 1);
    const [a, b] = [list[at], list[other]];
    if (a !== undefined && b !== undefined) [list[at], list[other]] = [b, a];
  }
  return list;
}

function post(url: string): Promise<string> {
  return new Promise((resolve) => {
    const call = request(url, { method: 'POST', agent: false, headers: { 'content-length': 2 } }, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (chunk: string) => {
        text += chunk;
      });
      res.on('end', () => {
        if (res.statusCode === 200) resolve('done');
        else
          resolve(
            /out of (GPU )?memory|out_of_memory/i.test(text)
              ? 'out of memory'
              : `${res.statusCode} ${text.slice(0, 300)}`,
          );
      });
    });
    call.on('error', (error) => resolve(error.message));
    call.end('{}');
  });
}
