/**
 * `npm run bench:down`: how fast a job for a service that is down is refused while another one works, and how soon
 * after its return it is served. Health settings are the defaults: a probe every 5 s. Ends with 1 when a bar is missed.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { Children } from './children.js';
import { startDaemonProcess } from './daemon-process.js';
import { atMost, printBars, printCircumstances, printTable } from './report.js';
import { median, quantile } from './statistics.js';

const REFUSALS = 500;
const RETURNS = 3;
const LIMITS = { refusedP99Ms: 50, backMs: 10_000 };
const GIVE_UP_AFTER_MS = 60_000;
const BODY = JSON.stringify({ text: 'hello' });

async function listen(port: number): Promise<Server> {
  const server = createServer((req, res) => {
    req.resume();
    res.end('done');
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a listening server has no port');
  return address.port;
}

async function close(server: Server): Promise<void> {
  server.close().closeAllConnections();
  await once(server, 'close');
}

async function post(url: string): Promise<{ readonly status: number; readonly text: string; readonly tookMs: number }> {
  const askedAt = performance.now();
  const answer = await fetch(url, { method: 'POST', body: BODY });
  const text = await answer.text();
  return { status: answer.status, text, tookMs: performance.now() - askedAt };
}

/** Asks until the answer is as wanted, one request behind the other; how long that took, ms. */
async function until(url: string, isWanted: (status: number) => boolean): Promise<number> {
  const startedAt = performance.now();
  while (!isWanted((await post(url)).status)) {
    if (performance.now() - startedAt > GIVE_UP_AFTER_MS) throw new Error(`${url} is the same after a minute`);
  }
  return performance.now() - startedAt;
}

/** The other one works all the while: a job behind the other, from several clients. */
function keepBusy(url: string): { readonly done: () => Promise<number> } {
  let goesOn = true;
  let answers = 0;
  const clients = Array.from({ length: 8 }, async () => {
    while (goesOn) {
      const { status } = await post(url);
      if (status !== 200) throw new Error(`the service that is up was answered with ${status}`);
      answers += 1;
    }
  });
  return {
    async done() {
      goesOn = false;
      await Promise.all(clients);
      return answers;
    },
  };
}

async function refusals(url: string): Promise<number[]> {
  const timesMs: number[] = [];
  while (timesMs.length < REFUSALS) {
    const { status, text, tookMs } = await post(url);
    if (status !== 503 || !text.includes('consumer_down')) throw new Error(`answered ${status}: ${text}`);
    timesMs.push(tookMs);
  }
  return timesMs;
}

async function run(children: Children): Promise<number> {
  printCircumstances('a service that is down beside one that works (policy locked, a probe every 5 s)', [
    '8 clients keep the one that works busy; the other leaves its port and comes back',
  ]);
  const works = await listen(0);
  let returns = await listen(0);
  const port = portOf(returns);
  const daemon = await startDaemonProcess(
    children,
    'locked',
    `routes: { llm: works, tts: returns }
consumers:
  works: { kind: http, url: "http://127.0.0.1:${portOf(works)}", paths: { llm: /work }, drain: 10ms }
  returns: { kind: http, url: "http://127.0.0.1:${port}", paths: { tts: /work }, drain: 10ms }
`,
  );
  const url = `${daemon.url}/v1/tts`;
  const busy = keepBusy(`${daemon.url}/v1/llm`);
  const refusedMs: number[] = [];
  const backMs: number[] = [];
  while (backMs.length < RETURNS) {
    await close(returns);
    await until(url, (status) => status === 503);
    refusedMs.push(...(await refusals(url)));
    returns = await listen(port);
    backMs.push(await until(url, (status) => status === 200));
  }
  const answers = await busy.done();
  await daemon.end();
  await Promise.all([close(works), close(returns)]);
  const refusedP99Ms = quantile(refusedMs, 0.99);
  const one = (value: number): string => value.toFixed(1);
  printTable([
    ['refusals', 'p50 ms', 'p99 ms', 'back after ms', 'answers of the other meanwhile'],
    [String(refusedMs.length), one(median(refusedMs)), one(refusedP99Ms), backMs.map(one).join(', '), String(answers)],
  ]);
  return printBars([
    atMost('refused, p99', refusedP99Ms, LIMITS.refusedP99Ms, 'ms'),
    atMost('served again after its return, the longest', Math.max(...backMs), LIMITS.backMs, 'ms'),
  ]);
}

const children = new Children();
try {
  process.exitCode = await run(children);
} finally {
  await children.endAll();
}
