/**
 * `npm run bench:proxy [-- PART...]`: what a request costs through the daemon, beside nginx and a bare relay of the
 * same run. Every candidate is a process of its own; the figures that count are ratios and differences within a round,
 * because the machine does other things too. Ends with 1 when a bar is missed.
 */
import type { Candidate } from './candidate.js';
import { Children, type Running } from './children.js';
import { startDaemonProcess } from './daemon-process.js';
import { compareEventLatency } from './event-latency.js';
import { CONNECTIONS, HAS_WRK } from './load.js';
import { compareMemory } from './memory.js';
import { NGINX, SMALL_ANSWER, startNginxProxy, startNginxService } from './nginx.js';
import { type Bar, printBars, printCircumstances } from './report.js';
import { compareThroughput } from './throughput.js';

const children = new Children();

const startRelay = (small: Running, streams: Running): Promise<Running> =>
  children.startScript('relay-process', small.url, streams.url);

const startMgpu = (small: Running, streams: Running): Promise<Running> =>
  startDaemonProcess(
    children,
    'passthrough',
    `routes: { llm: small, tts: streams, stt: streams, image: streams }
consumers:
  small: { kind: http, url: "${small.url}", paths: { llm: /v1/llm }, drain: 10ms }
  streams: { kind: http, url: "${streams.url}", paths: { tts: /v1/tts, stt: /v1/stt, image: /v1/image }, drain: 10ms }
`,
  );

const PARTS = ['throughput', 'latency', 'memory'] as const;
type Part = (typeof PARTS)[number];

function partsOf(words: readonly string[]): ReadonlySet<Part> {
  const unknown = words.filter((word) => !PARTS.some((part) => part === word));
  if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are: ${PARTS.join(', ')}`);
  return new Set(PARTS.filter((part) => words.length === 0 || words.includes(part)));
}

async function run(parts: ReadonlySet<Part>): Promise<number> {
  printCircumstances('mgpu beside a bare relay and nginx (policy passthrough)', [
    `load: ${HAS_WRK ? 'wrk, 1 thread' : 'a Node process (wrk is not here)'}, ${CONNECTIONS} connections, POST`,
    `service: ${NGINX === null ? 'a Node process (nginx is not here, so its row is missing)' : 'a second nginx'}, ` +
      `${SMALL_ANSWER.length} bytes of JSON`,
  ]);
  const streams = await children.startScript('service-process');
  const small = NGINX === null ? streams : await startNginxService(children, NGINX);
  const bars: Bar[] = [];
  if (parts.has('throughput') || parts.has('latency')) {
    const proxies = await startProxies(small, streams);
    if (parts.has('throughput')) {
      bars.push(...compareThroughput([{ name: 'direct', url: small.url, pid: null }, ...proxies]));
    }
    if (parts.has('latency')) {
      bars.push(...(await compareEventLatency([{ name: 'direct', url: streams.url, pid: null }, ...proxies])));
    }
    for (const { end } of proxies) await end();
  }
  if (parts.has('memory')) {
    const relay = { name: 'relay', start: () => startRelay(small, streams) } as const;
    const mgpu = { name: 'mgpu', start: () => startMgpu(small, streams) } as const;
    bars.push(...(await compareMemory([relay, mgpu])));
  }
  return printBars(bars);
}

async function startProxies(small: Running, streams: Running): Promise<(Candidate & Running)[]> {
  const nginx = NGINX === null ? null : await startNginxProxy(children, NGINX, small.url, streams.url);
  return [
    ...(nginx === null ? [] : [{ name: 'nginx' as const, ...nginx }]),
    { name: 'relay', ...(await startRelay(small, streams)) },
    { name: 'mgpu', ...(await startMgpu(small, streams)) },
  ];
}

try {
  process.exitCode = await run(partsOf(process.argv.slice(2)));
} finally {
  await children.endAll();
}
