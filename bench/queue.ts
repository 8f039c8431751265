/**
 * `npm run bench:queue`: 2,000 requests wait behind one that runs. How quick `/v1/status` stays, how much memory they
 * take, and how soon the queue is empty when all of them leave at once. Ends with 1 when a bar is missed.
 */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { z } from 'zod';
import { Children, type Running } from './children.js';
import { startDaemonProcess } from './daemon-process.js';
import { residentMib } from './process-figures.js';
import { atMost, type Bar, printBars, printCircumstances, printTable } from './report.js';
import { median, quantile } from './statistics.js';

const WAITING = 2000;
const STATUS_CALLS = 200;
const ROUNDS = 3;
const LIMITS = { statusP99Ms: 100, clearedMs: 2000, growthMib: 120 };
/** So many connections are opened at a time: more would measure the kernel's listen queue. */
const OPENED_AT_ONCE = 100;
const GIVE_UP_AFTER_MS = 60_000;

const BODY = JSON.stringify({ model: 'small', messages: [{ role: 'user', content: 'x'.repeat(1000) }] });

const status = z.object({
  scheduler: z.object({ queue_depth: z.number(), in_flight: z.number(), total_jobs: z.number() }),
});
type Scheduler = z.infer<typeof status>['scheduler'];

async function scheduler(url: string): Promise<Scheduler> {
  const answer = await fetch(`${url}/v1/status`);
  return status.parse(await answer.json()).scheduler;
}

async function schedulerWhen(url: string, reached: (state: Scheduler) => boolean): Promise<Scheduler> {
  const giveUpAt = performance.now() + GIVE_UP_AFTER_MS;
  for (;;) {
    const state = await scheduler(url);
    if (reached(state)) return state;
    if (performance.now() > giveUpAt) throw new Error(`still ${JSON.stringify(state)} after ${GIVE_UP_AFTER_MS} ms`);
  }
}

/** Takes the first request and keeps it until it is told to answer. */
async function openHoldingService(): Promise<{ url: string; held: ServerResponse[]; close: () => void }> {
  const held: ServerResponse[] = [];
  const server = createServer((req, res) => {
    req.resume();
    if (req.method === 'POST') held.push(res);
    else res.end('here');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a listening server has no port');
  return { url: `http://127.0.0.1:${address.port}`, held, close: () => void server.close().closeAllConnections() };
}

async function sendJob(url: string): Promise<Socket> {
  const { hostname, port, host } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const head = `POST /v1/llm HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n`;
  socket.write(`${head}Content-Length: ${Buffer.byteLength(BODY)}\r\n\r\n${BODY}`);
  return socket;
}

async function statusTimesMs(url: string): Promise<number[]> {
  const timesMs: number[] = [];
  for (let call = 0; call < STATUS_CALLS; call += 1) {
    const askedAt = performance.now();
    await scheduler(url);
    timesMs.push(performance.now() - askedAt);
  }
  return timesMs;
}

interface Figures {
  readonly growthMib: number;
  readonly statusMs: readonly number[];
  readonly clearedMs: number;
}

async function measure(daemon: Running, held: readonly ServerResponse[]): Promise<Figures> {
  const { url, pid } = daemon;
  const first = await sendJob(url);
  await schedulerWhen(url, ({ in_flight }) => in_flight === 1);
  await statusTimesMs(url);
  const beforeMib = residentMib(pid);

  const waiting: Socket[] = [];
  while (waiting.length < WAITING) {
    const together = Array.from({ length: Math.min(OPENED_AT_ONCE, WAITING - waiting.length) }, () => sendJob(url));
    waiting.push(...(await Promise.all(together)));
  }
  await schedulerWhen(url, ({ queue_depth }) => queue_depth === WAITING);
  const growthMib = residentMib(pid) - beforeMib;
  const statusMs = await statusTimesMs(url);

  const leftAt = performance.now();
  for (const socket of waiting) socket.destroy();
  const after = await schedulerWhen(url, ({ queue_depth }) => queue_depth === 0);
  const clearedMs = performance.now() - leftAt;
  if (after.total_jobs !== WAITING || after.in_flight !== 1 || held.length !== 1) {
    throw new Error(
      `${JSON.stringify(after)}, ${held.length} seen by the service: the waiting ones did not just leave`,
    );
  }
  held[0]?.end('done');
  await schedulerWhen(url, ({ total_jobs }) => total_jobs === WAITING + 1);
  first.destroy();
  return { growthMib, statusMs, clearedMs };
}

async function round(children: Children): Promise<Figures> {
  const service = await openHoldingService();
  const daemon = await startDaemonProcess(
    children,
    'locked',
    `queue: { max: 2500 }
routes: { llm: small }
consumers:
  small: { kind: http, url: "${service.url}", paths: { llm: /work }, drain: 10ms }
`,
  );
  try {
    return await measure(daemon, service.held);
  } finally {
    await daemon.end();
    service.close();
  }
}

async function run(children: Children): Promise<number> {
  printCircumstances(`${WAITING} requests wait behind one (policy locked, queue.max 2500)`, [
    `each on a connection of its own with ${BODY.length} bytes of JSON; a fresh daemon a round`,
  ]);
  const rounds: Figures[] = [];
  while (rounds.length < ROUNDS) rounds.push(await round(children));
  const one = (value: number): string => value.toFixed(1);
  printTable([
    ['round', `status p50 ms of ${STATUS_CALLS}`, 'status p99 ms', 'queue empty after ms', 'memory grew MiB'],
    ...rounds.map(({ statusMs, clearedMs, growthMib }, at) => [
      String(at + 1),
      one(median(statusMs)),
      one(quantile(statusMs, 0.99)),
      one(clearedMs),
      one(growthMib),
    ]),
  ]);
  const worst = (figure: (of: Figures) => number): number => Math.max(...rounds.map(figure));
  const bars: Bar[] = [
    atMost(
      'status p99, worst round',
      worst(({ statusMs }) => quantile(statusMs, 0.99)),
      LIMITS.statusP99Ms,
      'ms',
    ),
    atMost(
      'queue empty after all left, worst round',
      worst(({ clearedMs }) => clearedMs),
      LIMITS.clearedMs,
      'ms',
    ),
    atMost(
      'growth of memory, worst round',
      worst(({ growthMib }) => growthMib),
      LIMITS.growthMib,
      'MiB',
    ),
  ];
  return printBars(bars);
}

const children = new Children();
try {
  process.exitCode = await run(children);
} finally {
  await children.endAll();
}
