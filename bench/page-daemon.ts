/**
 * What ten open pages cost the daemon: 20 consumers, 1,000 waiting jobs, more than 5 events a second. The daemon's CPU
 * time is read while nobody looks, then while ten pages look; the difference is the pages'. One of them is real.
 * `node dist/bench/page-daemon.js [seconds]`; ends with 1 when it is more than a tenth of a core.
 */
import { once, setMaxListeners } from 'node:events';
import { Agent, createServer, request, type Server } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { launchBrowser, WatchedPage } from '../test/support/browser-page.js';
import { Children, type Running } from './children.js';
import { startDaemonProcess } from './daemon-process.js';
import { cpuTimeUs } from './process-figures.js';
import { atLeast, atMost, printBars, printCircumstances, printTable } from './report.js';

const CONSUMERS = 20;
const WAITING = 1000;
const PAGES = 10;
/** Each job makes a few events: its coming, its grant, its first byte, its end. */
const RUN_MS = 750;
const LEAST_EVENTS_A_SECOND = 5;
/** As the page does where something happens all the time. */
const STATUS_EVERY_MS = 2000;
const QUEUE_EVERY_MS = 60_000;
const HISTORY_MS = 12 * 60_000;
const MOST_OF_A_CORE_PERCENT = 10;

const status = z.object({ scheduler: z.object({ queue_depth: z.number() }) });

async function openService(): Promise<{ server: Server; url: string }> {
  const server = createServer((req, res) => {
    req.resume();
    if (req.method !== 'POST') return void res.end('here');
    setTimeout(() => res.end('done'), RUN_MS);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a listening server has no port');
  return { server, url: `http://127.0.0.1:${address.port}` };
}

/** A client that asks again as soon as it was answered, until it is told to leave. */
function keepAsking(daemon: string, name: string, leaving: AbortSignal): void {
  const call = request(`${daemon}/consumers/${name}/work`, { method: 'POST', agent: false, signal: leaving }, (res) => {
    res.resume();
    res.once('end', () => !leaving.aborted && keepAsking(daemon, name, leaving));
  });
  call.on('error', (error) => {
    if (!leaving.aborted) throw error;
  });
  call.end('{}');
}

async function untilWaiting(url: string): Promise<void> {
  const giveUpAt = performance.now() + 60_000;
  for (;;) {
    const { scheduler } = status.parse(await (await fetch(`${url}/v1/status`)).json());
    if (scheduler.queue_depth >= WAITING) return;
    if (performance.now() > giveUpAt) throw new Error(`only ${scheduler.queue_depth} of ${WAITING} jobs wait`);
    await pause(100);
  }
}

/** Counts what the event stream tells, until `leaving`. */
async function countEvents(url: string, leaving: AbortSignal, count: (events: number) => void): Promise<void> {
  const response = await fetch(`${url}/v1/events`, { signal: leaving });
  if (response.body === null) throw new Error('the event stream has no body');
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    count(value.split('\nevent: ').length - (value.startsWith('event: ') ? 0 : 1));
  }
}

async function shareOfACore(pid: number, seconds: number): Promise<number> {
  const [before, from] = [cpuTimeUs(pid), performance.now()];
  await pause(seconds * 1000);
  return (cpuTimeUs(pid) - before) / 10 / (performance.now() - from);
}

async function measure(daemon: Running, seconds: number): Promise<number> {
  const leaving = new AbortController();
  let events = 0;
  const counting = countEvents(daemon.url, leaving.signal, (more) => {
    events += more;
  }).catch((error: unknown) => {
    if (!leaving.signal.aborted) throw error;
  });
  const [eventsBefore, from] = [events, performance.now()];
  const alone = await shareOfACore(daemon.pid, seconds);
  const rate = ((events - eventsBefore) * 1000) / (performance.now() - from);

  const browser = await launchBrowser();
  const real = await WatchedPage.open(browser, daemon.url, 1280);
  await real.page.locator('.row:is([aria-setsize^="100"], [aria-setsize^="99"])').first().waitFor();
  let asked = 0;
  real.page.on('request', (each) => {
    if (each.url().includes('/v1/')) asked += 1;
  });
  const watchers = Array.from({ length: PAGES - 1 }, () => watchLikeThePage(daemon.url, leaving.signal));
  const watched = await shareOfACore(daemon.pid, seconds);
  const [least = 0] = watchers.map(({ asked: count }) => count()).sort((a, b) => a - b);
  const isLive = (await real.page.getByText('live', { exact: true }).count()) === 1;
  await browser.close();
  leaving.abort();
  await counting;
  printTable([
    ['', 'daemon, % of a core'],
    ['nobody looks', alone.toFixed(2)],
    [`${PAGES} pages look`, watched.toFixed(2)],
  ]);
  console.log(
    `\nthe page in Chromium asked ${asked} times and is ${isLive ? 'live' : 'NOT live'}, its likes ${least} or more`,
  );
  return printBars([
    atMost(`${PAGES} pages`, watched - alone, MOST_OF_A_CORE_PERCENT, '% of a core'),
    atLeast('events a second', rate, LEAST_EVENTS_A_SECOND),
    atLeast('requests of a like for one of the page', least / Math.max(1, asked), 0.9),
  ]);
}

/**
 * One page's requests without the page: ten browsers beside the daemon would take the very cores that are measured.
 * That these ask no less than the page does is checked against a real one.
 */
function watchLikeThePage(url: string, leaving: AbortSignal): { asked: () => number } {
  let asked = 0;
  const agent = new Agent({ keepAlive: true });
  const ask = async (path: string): Promise<void> => {
    asked += 1;
    await new Promise<void>((resolve, reject) => {
      const call = request(url + path, { agent, signal: leaving }, (res) => res.resume().once('end', resolve));
      call.once('error', (error) => (leaving.aborted ? resolve() : reject(error)));
      call.end();
    });
  };
  void (async () => {
    const now = Date.now();
    void ask('/v1/events');
    await ask('/v1/status');
    await ask('/v1/whoami');
    await ask(`/v1/history?from=${now - HISTORY_MS}&to=${now}`);
    for (let turn = 0; !leaving.aborted; turn += 1) {
      await ask('/v1/status');
      if (turn % (QUEUE_EVERY_MS / STATUS_EVERY_MS) === 0) await ask('/v1/jobs?limit=5000&ended=0');
      await pause(STATUS_EVERY_MS);
    }
  })();
  return { asked: () => asked };
}

async function run(children: Children): Promise<number> {
  const seconds = Number(process.argv[2] ?? 60);
  printCircumstances(`${PAGES} pages on one daemon, ${seconds} s each`, [
    `${CONSUMERS} consumers, ${WAITING} waiting jobs, a job every ${RUN_MS} ms, policy locked`,
  ]);
  const services = await Promise.all(Array.from({ length: CONSUMERS }, openService));
  const names = services.map((_, index) => `service-${String(index).padStart(2, '0')}`);
  const lines = services.map(({ url }, index) => `  ${names[index]}: { kind: http, url: "${url}" }\n`);
  const leaving = new AbortController();
  setMaxListeners(0, leaving.signal);
  const daemon = await startDaemonProcess(
    children,
    'locked',
    `queue: { max: ${2 * WAITING} }\nconsumers:\n${lines.join('')}`,
  );
  try {
    for (let sent = 0; sent <= WAITING; sent += 1)
      keepAsking(daemon.url, names[sent % CONSUMERS] ?? '', leaving.signal);
    await untilWaiting(daemon.url);
    return await measure(daemon, seconds);
  } finally {
    leaving.abort();
    await daemon.end();
    for (const { server } of services) server.close().closeAllConnections();
  }
}

const children = new Children();
try {
  process.exitCode = await run(children);
} finally {
  await children.endAll();
}
