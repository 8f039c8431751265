/**
 * What the page costs a browser that watches: 20 consumers, 1,000 waiting jobs, 5 events a second for a minute.
 * `node dist/bench/page.js [seconds]` prints scripting time as a share of one core, and the heap before and after; ends
 * with 1 when it is more than a third of a core, or the heap grows.
 */
import { z } from 'zod';
import { launchBrowser, WatchedPage } from '../test/support/browser-page.js';
import { busy, job } from '../test/support/page-scenes.js';
import { iso } from '../test/support/page-story.js';
import { PretendPlane } from '../test/support/pretend-plane.js';
import { atMost, printBars, printCircumstances, printTable } from './report.js';

const CONSUMERS = 20;
const WAITING = 1000;
const EVENTS_A_SECOND = 5;
const MOST_OF_A_CORE_PERCENT = 33;
const MOST_GROWTH_MIB = 10;

const metricsSchema = z.object({ metrics: z.array(z.object({ name: z.string(), value: z.number() })) });

function crowd(now: number) {
  const scene = busy(now);
  const names = Array.from({ length: CONSUMERS }, (_, index) => `service-${String(index).padStart(2, '0')}`);
  const like = scene.consumers.mvoice;
  for (const name of names) if (like !== undefined) scene.consumers[name] = { ...like, gpu_resident_mib: 300 };
  for (const name of ['mvoice', 'whisper-server', 'ollama', 'comfyui']) delete scene.consumers[name];
  const waiting = Array.from({ length: WAITING }, (_, index) => waitingJob(index, names, now));
  scene.status.jobs = waiting.slice(0, 100);
  scene.status.jobs_omitted = WAITING - 100;
  Object.assign(scene, { jobs: waiting });
  return { scene, names, waiting };
}

function waitingJob(index: number, names: readonly string[], now: number): object {
  return job(`j_${String(index).padStart(6, '0')}k3v9x2m7q1t5w8`, {
    consumer: names[index % names.length],
    model: null,
    queued_at: iso(now - 600_000 + index * 500),
    waited_ms: 600_000 - index * 500,
    position: index + 1,
    reason: { code: 'turn_busy', text: `waiting for ${names[0]}, which has had the card for ${index % 60} s` },
  });
}

const now = Date.now();
const seconds = Number(process.argv[2] ?? 60);
const { scene, names } = crowd(now);
const plane = new PretendPlane(scene);
await plane.open();
const browser = await launchBrowser();
const watched = await WatchedPage.open(browser, plane.url, 1280);
await watched.page.getByText(`0 running, ${WAITING.toLocaleString('en-US')} waiting`).waitFor();
const session = await watched.page.context().newCDPSession(watched.page);
await session.send('Performance.enable');

async function measure(): Promise<Record<string, number>> {
  await session.send('HeapProfiler.collectGarbage');
  const { metrics } = metricsSchema.parse(await session.send('Performance.getMetrics'));
  return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
}

const before = await measure();
for (let tick = 0; tick < seconds * EVENTS_A_SECOND; tick += 1) {
  const at = Date.now();
  const name = names[tick % names.length] ?? '';
  const ended = job(`j_run${String(tick).padStart(6, '0')}k3v9x2m7q1t`, {
    consumer: name,
    model: null,
    state: 'ended',
    end: 'done',
    queued_at: iso(at - 900),
    granted_at: iso(at - 500),
    ended_at: iso(at),
  });
  plane.send('job', { at: iso(at), change: 'ended', job: ended });
  await new Promise((resolve) => setTimeout(resolve, 1000 / EVENTS_A_SECOND));
}
const after = await measure();
await browser.close();
await plane.close();

const passed = (after.Timestamp ?? 0) - (before.Timestamp ?? 0);
const share = (name: string): number => ((after[name] ?? 0) - (before[name] ?? 0)) / passed;
const grownMib = ((after.JSHeapUsedSize ?? 0) - (before.JSHeapUsedSize ?? 0)) / 2 ** 20;
const percent = (part: number): string => `${(part * 100).toFixed(1)} %`;
printCircumstances('The page in Chromium while it watches', [
  `${CONSUMERS} consumers, ${WAITING} waiting jobs, ${EVENTS_A_SECOND} events a second for ${passed.toFixed(0)} s`,
]);
printTable([
  ['scripting', 'layout', 'style', 'all of the main thread', 'heap before', 'heap after'],
  [
    ...['ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration', 'TaskDuration'].map((name) => percent(share(name))),
    ...[before, after].map(({ JSHeapUsedSize = 0 }) => `${(JSHeapUsedSize / 2 ** 20).toFixed(1)} MiB`),
  ],
]);
process.exitCode = printBars([
  atMost('scripting', share('ScriptDuration') * 100, MOST_OF_A_CORE_PERCENT, '% of a core'),
  atMost('growth of the heap', grownMib, MOST_GROWTH_MIB, 'MiB'),
]);
