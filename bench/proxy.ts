/**
 * `npm run bench:proxy`: what a request costs through the daemon, beside nginx and a bare relay of the same run. Every
 * candidate is a process of its own; the figures that count are ratios and differences within a round, because the
 * machine does other things too. Ends with 1 when a bar is missed.
 */
import type { Candidate } from './candidate.js';
import { Children, type Running } from './children.js';
import { startDaemonProcess } from './daemon-process.js';
import { compareEventLatency } from './event-latency.js';
import { CONNECTIONS, HAS_WRK } from './load.js';
import { compareMemory } from './memory.js';
import { NGINX, SMALL_ANSWER, startNginxProxy, startNginxService } from './nginx.js';
import { printBars, printCircumstances } from './report.js';
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

async function run(): Promise<number> {
  printCircumstances('mgpu beside a bare relay and nginx (policy passthrough)', [
    `load: ${HAS_WRK ? 'wrk, 1 thread' : 'a Node process (wrk is not here)'}, ${CONNECTIONS} connections, POST; the service: ` +
      `${NGINX === null ? 'a Node process (nginx is not here, so its row is missing)' : 'a second nginx'}, ` +
      `${SMALL_ANSWER.length} bytes of JSON`,
  ]);
  const streams = await children.startScript('service-process');
  const small = NGINX === null ? streams : await startNginxService(children, NGINX);
  const relay = await startRelay(small, streams);
  const mgpu = await startMgpu(small, streams);
  const nginx = NGINX === null ? null : await startNginxProxy(children, NGINX, small.url, streams.url);

  const proxies: Candidate[] = [
    ...(nginx === null ? [] : [{ name: 'nginx' as const, ...nginx }]),
    { name: 'relay', ...relay },
    { name: 'mgpu', ...mgpu },
  ];
  const throughput = compareThroughput([{ name: 'direct', url: small.url, pid: null }, ...proxies]);
  const latency = await compareEventLatency([{ name: 'direct', url: streams.url, pid: null }, ...proxies]);
  const memory = await compareMemory([
    { name: 'relay', start: () => startRelay(small, streams) },
    { name: 'mgpu', start: () => startMgpu(small, streams) },
  ]);
  return printBars([...throughput, ...latency, ...memory]);
}

try {
  process.exitCode = await run();
} finally {
  await children.endAll();
}
