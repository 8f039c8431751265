/**
 * `npm run bench:ttfb`: how much later the first byte of a chat comes through the daemon than straight from the service,
 * with its model in memory and nobody else there. Pairs of one request each way, in turn; what counts is the difference
 * within a pair. Ends with 1 when the bar is missed.
 */
import { Agent, request } from 'node:http';
import { Children } from './children.js';
import { startDaemonProcess } from './daemon-process.js';
import { atMost, type Bar, printBars, printCircumstances, printTable } from './report.js';
import { median, quantile } from './statistics.js';

const PAIRS = 400;
/** V8 compiles what runs often; a daemon runs for weeks. */
const WARM_PAIRS = 3000;
/** What a daemon that was just started adds: shown, without a bar. */
const FIRST_PAIRS = 200;
const ADDED_P50_MS = 1.5;

const MESSAGES = [{ role: 'user', content: 'x'.repeat(2000) }];
const BODIES = {
  'chat, streamed': JSON.stringify({ messages: MESSAGES, stream: true, model: 'm' }),
  'chat, whole': JSON.stringify({ messages: MESSAGES, model: 'm' }),
};

const children = new Children();
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** From the request's first byte to the answer's first byte of body; the answer is read to its end. */
function firstByteMs(url: string, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
    const startedAt = performance.now();
    const asked = request(`${url}/v1/chat/completions`, { method: 'POST', headers, agent }, (answer) => {
      let tookMs: number | null = null;
      answer.on('data', () => {
        tookMs ??= performance.now() - startedAt;
      });
      answer.once('error', reject);
      answer.once('end', () => {
        if (answer.statusCode === 200 && tookMs !== null) resolve(tookMs);
        else reject(new Error(`${url} answered ${answer.statusCode}`));
      });
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

async function compare(direct: string, broker: string, body: string) {
  const pairs: { direct: number; broker: number }[] = [];
  const firstAdded: number[] = [];
  for (let at = 0; at < WARM_PAIRS + PAIRS; at += 1) {
    // Whoever goes first may find the machine as the other left it: they take turns at that, too.
    const isDirectFirst = at % 2 === 0;
    const first = await firstByteMs(isDirectFirst ? direct : broker, body);
    const second = await firstByteMs(isDirectFirst ? broker : direct, body);
    const pair = isDirectFirst ? { direct: first, broker: second } : { direct: second, broker: first };
    if (at < FIRST_PAIRS) firstAdded.push(pair.broker - pair.direct);
    if (at >= WARM_PAIRS) pairs.push(pair);
  }
  const added = pairs.map((pair) => pair.broker - pair.direct);
  return { added, firstAdded, direct: pairs.map((pair) => pair.direct), broker: pairs.map((pair) => pair.broker) };
}

async function run(): Promise<number> {
  printCircumstances('first byte of a chat: the daemon beside the service asked directly', [
    `${PAIRS} pairs after ${WARM_PAIRS} to warm up, one connection each, policies vram-lru and locked`,
  ]);
  const service = await children.startScript('chat-process');
  const bars: Bar[] = [];
  const rows: string[][] = [
    ['ms', 'direct p50', 'mgpu p50', 'added p50', 'added p90', 'added p99', `first ${FIRST_PAIRS}, p50`],
  ];
  for (const policy of ['vram-lru', 'locked'] as const) {
    const consumers = `routes: { llm: m }\nconsumers:\n  m: { kind: openai, url: "${service.url}", vram_resident_mib: 1000, vram_run_mib: 100 }\n`;
    const daemon = await startDaemonProcess(children, policy, consumers);
    for (const [what, body] of Object.entries(BODIES)) {
      const { added, firstAdded, direct, broker } = await compare(service.url, daemon.url, body);
      const figures = [
        ...[median(direct), median(broker), median(added), quantile(added, 0.9), quantile(added, 0.99)],
        median(firstAdded),
      ];
      rows.push([`${policy}, ${what}`, ...figures.map((figure) => figure.toFixed(2))]);
      bars.push(atMost(`added to the first byte, p50, ${policy}, ${what}`, median(added), ADDED_P50_MS, 'ms'));
    }
    await daemon.end();
  }
  printTable(rows);
  return printBars(bars);
}

try {
  process.exitCode = await run();
} finally {
  agent.destroy();
  await children.endAll();
}
