/** How much resident memory grows while 256 MiB pass, in a fresh process each time: a used heap would hide it. */
import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Running } from './children.js';
import { growthDuring } from './process-figures.js';
import { atMost, type Bar, printTable } from './report.js';
import { median } from './statistics.js';

const SIZE_BYTES = 256 * 1024 * 1024;
const PIECE = Buffer.alloc(64 * 1024, 'x');
const STALLED_MS = 1500;
const ROUNDS = 3;
const ABOVE_RELAY_MIB = 64;

type Passing = (url: string) => Promise<void>;

/** Reads an answer of 256 MiB, after a rest. */
function download(restMs: number): Passing {
  return (url) =>
    new Promise((resolve, reject) => {
      const headers = { 'Content-Length': 0, 'X-Size': SIZE_BYTES };
      const asked = request(`${url}/v1/image`, { method: 'POST', headers, agent: false }, (answer) => {
        let sizeBytes = 0;
        answer.once('error', reject);
        const read = () => {
          answer.on('data', (piece: Buffer) => {
            sizeBytes += piece.length;
          });
        };
        answer.once('end', () => {
          if (sizeBytes === SIZE_BYTES) resolve();
          else reject(new Error(`${sizeBytes} of ${SIZE_BYTES} bytes came from ${url}`));
        });
        void pause(restMs).then(read);
      });
      asked.once('error', reject);
      asked.end();
    });
}

/** Sends 256 MiB to a service that reads slowly. */
const upload: Passing = (url) =>
  new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/octet-stream', 'Content-Length': SIZE_BYTES };
    const asked = request(`${url}/v1/stt`, { method: 'POST', headers, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      answer.once('error', reject);
      answer.once('end', () => {
        if (text === JSON.stringify({ sizeBytes: SIZE_BYTES })) resolve();
        else reject(new Error(`the body did not arrive whole through ${url}: ${answer.statusCode} ${text}`));
      });
    });
    let leftBytes = SIZE_BYTES;
    const more = () => {
      while (leftBytes > 0) {
        leftBytes -= PIECE.length;
        if (!asked.write(PIECE)) return;
      }
      asked.off('drain', more).end();
    };
    asked.once('error', reject);
    asked.on('drain', more);
    more();
  });

const PASSINGS: readonly { readonly what: string; readonly pass: Passing }[] = [
  { what: 'down', pass: download(0) },
  { what: 'down, reader stalls', pass: download(STALLED_MS) },
  { what: 'up, slow service', pass: upload },
];

export interface Fresh {
  readonly name: 'relay' | 'mgpu';
  readonly start: () => Promise<Running>;
}

export async function compareMemory(fresh: readonly Fresh[]): Promise<Bar[]> {
  const bars: Bar[] = [];
  const rows: string[][] = [];
  for (const { what, pass } of PASSINGS) {
    const growths = { relay: [] as number[], mgpu: [] as number[] };
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const { name, start } of fresh) growths[name].push(await growthOf(start, pass));
    }
    const [relay, mgpu] = [median(growths.relay), median(growths.mgpu)];
    rows.push([what, relay.toFixed(0), mgpu.toFixed(0), (mgpu - relay).toFixed(0)]);
    bars.push(atMost(`growth of memory, ${what}, above the relay's`, mgpu - relay, ABOVE_RELAY_MIB, 'MiB'));
  }
  printTable([[`256 MiB pass, growth in MiB, median of ${ROUNDS}`, 'relay', 'mgpu', 'above'], ...rows]);
  return bars;
}

async function growthOf(start: Fresh['start'], pass: Passing): Promise<number> {
  const { pid, url, end } = await start();
  try {
    for (let warm = 0; warm < 50; warm += 1) {
      const answer = await fetch(`${url}/v1/llm`, { method: 'POST', body: '{}' });
      await answer.arrayBuffer();
    }
    return await growthDuring(pid, () => pass(url));
  } finally {
    await end();
  }
}
