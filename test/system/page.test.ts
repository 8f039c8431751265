/**
 * The page in a real Chromium: each of its states at two widths, light and dark, with a picture in docs/screenshots.
 * Needs Chromium (MGPU_CHROMIUM, else where Debian puts it) and the built page.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { startDemo } from '../../src/demo/main.js';
import { startTraffic } from '../../src/demo/traffic.js';
import { startDaemon } from '../../src/main.js';
import { LOOKS, launchBrowser, WatchedPage } from '../support/browser-page.js';
import * as scenes from '../support/page-scenes.js';
import { iso } from '../support/page-story.js';
import { PretendPlane, type Scene } from '../support/pretend-plane.js';
import { SilentLog } from '../support/silent-log.js';

const PICTURES = fileURLToPath(new URL('../../../docs/screenshots/', import.meta.url));
let browser: Browser;

before(async () => {
  browser = await launchBrowser();
});

after(() => browser.close());

async function withPlane(scene: Scene, use: (plane: PretendPlane) => Promise<void>): Promise<void> {
  const plane = new PretendPlane(scene);
  await plane.open();
  try {
    await use(plane);
  } finally {
    await plane.close();
  }
}

const STATES: readonly { name: string; scene: (now: number) => Scene; says: RegExp }[] = [
  { name: 'empty', scene: scenes.empty, says: /No service stands behind this daemon yet/ },
  { name: 'calm', scene: scenes.calm, says: /All is well, nothing waits/ },
  {
    name: 'busy',
    scene: scenes.busy,
    says: /ollama is answering with qwen3:8b.*3 jobs wait: comfyui needs 7\.5 GiB more/,
  },
  { name: 'evicting', scene: scenes.evicting, says: /mvoice is leaving the card/ },
  { name: 'stuck', scene: scenes.stuck, says: /mvoice was asked to leave the card and keeps 4\.2 GiB/ },
  { name: 'out-of-memory', scene: scenes.outOfMemory, says: /comfyui ran out of GPU memory at/ },
  { name: 'draining', scene: scenes.draining, says: /No new jobs are taken: 1 job still running/ },
  { name: 'stale', scene: scenes.stale, says: /has not been read for 4\d s: nvidia-smi gave no answer/ },
  { name: 'consumer-down', scene: scenes.consumerDown, says: /mvoice does not answer on 127\.0\.0\.1:8766 since/ },
];

for (const { name, scene, says } of STATES) {
  describe(`the page: ${name}`, () => {
    for (const looks of LOOKS) {
      test(`${looks.width} px, ${looks.scheme}`, async () => {
        await withPlane(scene(Date.now()), async (plane) => {
          const watched = await WatchedPage.open(browser, plane.url, looks);
          await watched.page.getByText(says).first().waitFor();
          await watched.page.getByText('live', { exact: true }).waitFor();
          await settled(watched);
          assert.deepEqual(await watched.axe(), []);
          await watched.picture(PICTURES, `${name}-${looks.width}-${looks.scheme}`);
          assert.equal(await overflow(watched), 0, 'nothing is wider than the page');
          assert.deepEqual(watched.complaints, []);
          assert.deepEqual(watched.strangers, []);
          await watched.close();
        });
      });
    }
  });
}

/** History is in, and the canvas is painted with it. */
async function settled({ page }: WatchedPage): Promise<void> {
  await page
    .getByText(/mGPUmanager started|is on the card|ran \d/)
    .first()
    .waitFor();
  await page.evaluate('new Promise((resolve) => setTimeout(resolve, 400))');
}

async function overflow({ page }: WatchedPage): Promise<number> {
  return Number(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'));
}

describe('the page: disconnected and back', () => {
  for (const looks of LOOKS) {
    test(`${looks.width} px, ${looks.scheme}`, async () => {
      await withPlane(scenes.busy(Date.now()), async (plane) => {
        const watched = await WatchedPage.open(browser, plane.url, looks);
        await watched.page.getByText('3 jobs wait').first().waitFor();
        await settled(watched);
        await plane.close();
        await watched.page.getByText(/No contact with the daemon since/).waitFor();
        await watched.picture(PICTURES, `disconnected-${looks.width}-${looks.scheme}`);
        assert.equal(
          await watched.page.getByRole('button', { name: /Cancel|evict|Drain/ }).count(),
          0,
          'no action without contact',
        );
        assert.deepEqual(await watched.axe(), []);
        // The jobs ended while nobody listened: they must not haunt the page.
        plane.scene = scenes.calm(Date.now());
        await plane.open();
        await watched.page.getByText(/All is well, nothing waits/).waitFor();
        await watched.page.getByText(/No contact/).waitFor({ state: 'detached' });
        assert.equal(await watched.page.locator('.row').count(), 0, 'no ghosts in the queue');
        await watched.close();
      });
    });
  }
});

test('keys alone: from the sentence to evicting a consumer and to cancelling a job', async () => {
  await withPlane(scenes.busy(Date.now()), async (plane) => {
    const watched = await WatchedPage.open(browser, plane.url, { width: 1280, scheme: 'light' });
    const { page } = watched;
    await page.getByText('live', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'evict ollama', exact: true }).waitFor();
    await tabTo(watched, 'Cancel j_wai1k3v9x2m7q1t5w8zb');
    await page.keyboard.press('Enter');
    await page.getByText(/Its client is told that an operator cancelled it/).waitFor();
    await tabTo(watched, 'Cancel the job');
    await page.keyboard.press('Enter');
    await page.getByText('Done: cancel the job j_wai1k3v9x2m7q1t5w8zb').waitFor();
    await tabTo(watched, 'evict ollama');
    await page.keyboard.press('Enter');
    await page.getByText(/Evicting ollama breaks off nothing: it waits until 1 running job has ended/).waitFor();
    await watched.picture(PICTURES, 'question-1280-light');
    assert.deepEqual(await watched.axe(), []);
    await page.keyboard.press('Escape');
    assert.equal(plane.actions.length, 1, 'the escape key does nothing but close');
    await page.keyboard.press('Enter');
    await tabTo(watched, 'Evict');
    await page.keyboard.press('Enter');
    await page.getByText('Done: evict ollama').waitFor();
    assert.deepEqual(plane.actions, ['DELETE /v1/jobs/j_wai1k3v9x2m7q1t5w8zb', 'POST /v1/consumers/ollama/evict']);
    assert.deepEqual(watched.complaints, []);
    await watched.close();
  });
});

async function tabTo({ page }: WatchedPage, name: string): Promise<void> {
  for (let presses = 0; presses < 120; presses += 1) {
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(
      '(document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "").trim()',
    );
    if (focused === name) return;
  }
  assert.fail(`no way by the tab key to ${name}`);
}

test('keys on the timeline: every lane can be read at one instant', async () => {
  await withPlane(scenes.calm(Date.now()), async (plane) => {
    const watched = await WatchedPage.open(browser, plane.url, { width: 1280, scheme: 'light' });
    await settled(watched);
    await watched.page.locator('canvas').focus();
    for (let presses = 0; presses < 12; presses += 1) await watched.page.keyboard.press('ArrowLeft');
    const reading = watched.page.locator('.reading');
    await reading.waitFor();
    const text = String(await reading.textContent());
    for (const name of ['mvoice', 'whisper-server', 'ollama', 'comfyui', 'VRAM used', 'Waiting'])
      assert.ok(text.includes(name));
    await watched.picture(PICTURES, 'reading-1280-light');
    await watched.close();
  });
});

test('an observer is told from where one could act, and sees no buttons that would fail', async () => {
  for (const looks of LOOKS) {
    await withPlane({ ...scenes.busy(Date.now()), mayOperate: false }, async (plane) => {
      const watched = await WatchedPage.open(browser, plane.url, looks);
      await watched.page.getByText(/Look only:/).waitFor();
      await watched.page.getByText(/act from 127\.0\.0\.0\/8, 100\.64\.0\.0\/10/).waitFor();
      await settled(watched);
      assert.equal(await watched.page.getByRole('button', { name: /^(evict|load|pin) / }).count(), 0);
      // Its own job may be cancelled by whoever sent it.
      assert.equal(await watched.page.getByRole('button', { name: /^Cancel / }).count(), 1);
      await watched.picture(PICTURES, `observer-${looks.width}-${looks.scheme}`);
      assert.deepEqual(await watched.axe(), []);
      await watched.close();
    });
  }
});

test('a job has a page of its own, reached by its address and from the overview', async () => {
  for (const looks of LOOKS) {
    await withPlane(scenes.outOfMemory(Date.now()), async (plane) => {
      const path = '/ui/jobs/j_oom1k3v9x2m7q1t5w8zb';
      const watched = await WatchedPage.open(browser, plane.url, looks, path);
      await watched.page
        .getByText(/Failed \(gpu_out_of_memory\)/)
        .first()
        .waitFor();
      await watched.page.evaluate('new Promise((resolve) => setTimeout(resolve, 400))');
      await watched.picture(PICTURES, `job-${looks.width}-${looks.scheme}`);
      assert.deepEqual(await watched.axe(), []);
      await watched.page.getByRole('link', { name: '← Overview' }).click();
      await watched.page
        .getByRole('link', { name: /out of GPU memory: CUDA/ })
        .first()
        .click();
      await watched.page.waitForURL(`**${path}`);
      assert.deepEqual(watched.complaints, []);
      await watched.close();
    });
  }
});

const MARKUP = '<img src=x onerror="document.title=`taken`"><b>bold</b>';

test('names with markup in them are text', async () => {
  const scene = scenes.outOfMemory(Date.now());
  const now = Date.now();
  Object.assign(scene.consumers.mvoice ?? {}, { health: 'down', health_error: MARKUP });
  scene.status.jobs = [
    scenes.job('j_markupk3v9x2m7q1t5w8', {
      model: MARKUP,
      client: MARKUP,
      queued_at: iso(now),
      waited_ms: 0,
      reason: { code: 'x', text: MARKUP },
    }),
  ];
  scene.history.push(scenes.line(now, 'out_of_memory', { job: 'j_m', target: `ollama/${MARKUP}`, message: MARKUP }));
  await withPlane(scene, async (plane) => {
    const watched = await WatchedPage.open(browser, plane.url, { width: 1280, scheme: 'light' });
    await watched.page.getByText(MARKUP).first().waitFor();
    await settled(watched);
    assert.ok((await watched.page.getByText(MARKUP).count()) >= 4);
    assert.equal(await watched.page.locator('img, b:text-is("bold")').count(), 0);
    assert.equal(await watched.page.title(), 'mGPUmanager');
    assert.deepEqual(watched.complaints, []);
    assert.deepEqual(watched.strangers, []);
    await watched.close();
  });
});

test('a thousand waiting jobs: only rows in sight exist, and all can be reached', async () => {
  const scene = scenes.busy(Date.now());
  const waiting = Array.from({ length: 1000 }, (_, index) =>
    scenes.job(`j_many${String(index).padStart(4, '0')}k3v9x2m7q1t5`, {
      queued_at: iso(Date.now() - 600_000 + index * 500),
      waited_ms: 600_000 - index * 500,
      position: index + 1,
      reason: { code: 'turn_busy', text: `place ${index + 1}` },
    }),
  );
  scene.status.jobs = waiting.slice(0, 100);
  scene.status.jobs_omitted = 900;
  Object.assign(scene.status.scheduler as object, { queue_depth: 1000 });
  await withPlane({ ...scene, jobs: waiting }, async (plane) => {
    const watched = await WatchedPage.open(browser, plane.url, { width: 1280, scheme: 'light' });
    await watched.page.getByText('0 running, 1000 waiting').waitFor();
    await watched.page.waitForFunction('document.querySelector(".row")?.getAttribute("aria-setsize") === "1000"');
    assert.ok((await watched.page.locator('.row').count()) < 60);
    await watched.page.locator('.rows').focus();
    await watched.page.keyboard.press('End');
    await watched.page.getByText('place 1000', { exact: true }).waitFor();
    assert.deepEqual(await watched.axe(), []);
    await watched.close();
  });
});

describe('the page of the real daemon, with the demo behind it', () => {
  test('within a minute the timeline tells a story: loads, evictions, waits, services taking turns', async () => {
    const env = { ...process.env };
    const printed: string[] = [];
    const demo = await startDemo({
      host: '127.0.0.1',
      port: 0,
      speed: 3,
      policy: 'vram-lru',
      env,
      print: (text) => printed.push(text),
      startDaemon: ({ configFile, env: demoEnv }) =>
        startDaemon({ source: { file: configFile }, env: demoEnv, log: new SilentLog() }),
    });
    const traffic = startTraffic({ url: demo.url, speed: 3, print: () => {} });
    try {
      const watched = await WatchedPage.open(browser, demo.url, { width: 1280, scheme: 'light' });
      await watched.page.getByText('live', { exact: true }).waitFor();
      await watched.page.getByRole('button', { name: '2 min' }).click();
      await watched.page
        .getByText(/is leaving the card: evicted for/)
        .nth(2)
        .waitFor({ timeout: 180_000 });
      await watched.picture(PICTURES, 'demo-1280-light');
      await watched.page.emulateMedia({ colorScheme: 'dark' });
      await watched.page.evaluate('new Promise((resolve) => setTimeout(resolve, 600))');
      await watched.picture(PICTURES, 'demo-1280-dark');
      assert.deepEqual(await watched.axe(), []);
      await watched.page.setViewportSize({ width: 390, height: 844 });
      await watched.page.evaluate('new Promise((resolve) => setTimeout(resolve, 600))');
      await watched.picture(PICTURES, 'demo-390-dark');
      const job = watched.page.getByRole('link', { name: /done, ran/ }).first();
      await job.click();
      await watched.page
        .getByText(/^Done\.$/)
        .first()
        .waitFor();
      await watched.picture(PICTURES, 'demo-job-390-dark');
      assert.deepEqual(watched.complaints, []);
      assert.deepEqual(watched.strangers, []);
      await watched.close();
    } finally {
      await traffic.stop();
      await demo.stop();
    }
  });
});
