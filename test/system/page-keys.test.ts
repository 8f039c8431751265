/**
 * The page in a real Chromium, used: by keys alone, with a thousand jobs, with names that would be markup. Needs what
 * `page.test.ts` needs.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchBrowser, WatchedPage } from '../support/browser-page.js';
import * as scenes from '../support/page-scenes.js';
import { iso } from '../support/page-story.js';
import { withPlane } from '../support/pretend-plane.js';

let browser: Browser;

before(async () => {
  browser = await launchBrowser();
});

after(() => browser.close());

test('keys alone: from the sentence to evicting a consumer and to cancelling a job', async () => {
  await withPlane(scenes.busy(Date.now()), async (plane) => {
    const watched = await WatchedPage.open(browser, plane.url, 1280);
    const { page } = watched;
    await watched.settled();
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
    await watched.painted();
    await watched.picture('question-1280-light', 'window');
    assert.deepEqual(await watched.axe(), []);
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    assert.equal(plane.actions.length, 1, 'the escape key does nothing but close');
    assert.equal(await focused(watched), 'evict ollama', 'the focus is where it was');
    await page.keyboard.press('Enter');
    await tabTo(watched, 'Evict');
    await page.keyboard.press('Enter');
    await page.getByText('Done: evict ollama').waitFor();
    assert.deepEqual(plane.actions, ['DELETE /v1/jobs/j_wai1k3v9x2m7q1t5w8zb', 'POST /v1/consumers/ollama/evict']);
    await watched.assertQuiet();
    await watched.close();
  });
});

async function focused({ page }: WatchedPage): Promise<string> {
  return String(
    await page.evaluate(
      '(document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "").trim()',
    ),
  );
}

async function tabTo(watched: WatchedPage, name: string): Promise<void> {
  for (let presses = 0; presses < 120; presses += 1) {
    await watched.page.keyboard.press('Tab');
    if ((await focused(watched)) === name) return;
  }
  assert.fail(`no way by the tab key to ${name}`);
}

test('keys on the timeline: every lane can be read at one instant', async () => {
  await withPlane(scenes.calm(Date.now()), async (plane) => {
    const watched = await WatchedPage.open(browser, plane.url, 1280);
    await watched.settled();
    await watched.page.locator('canvas').focus();
    for (let presses = 0; presses < 12; presses += 1) await watched.page.keyboard.press('ArrowLeft');
    const reading = watched.page.locator('.reading');
    await reading.waitFor();
    const text = String(await reading.textContent());
    for (const name of ['mvoice', 'whisper-server', 'ollama', 'comfyui', 'VRAM used', 'Waiting'])
      assert.ok(text.includes(name));
    await watched.painted();
    await watched.picture('reading-1280-light');
    await watched.assertQuiet();
    await watched.close();
  });
});

const MARKUP = '<img src=x onerror="document.title=`taken`"><b>bold</b>';

test('names with markup in them are text: in models, errors, clients and reasons, on the overview and a job page', async () => {
  const scene = scenes.outOfMemory(Date.now());
  const now = Date.now();
  Object.assign(scene.consumers.mvoice ?? {}, { health: 'down', health_error: MARKUP });
  const models = scene.consumers.ollama?.models;
  assert.ok(Array.isArray(models));
  models.push({ ...models[0], name: MARKUP });
  scene.status.jobs = [
    scenes.job('j_markupk3v9x2m7q1t5w8', {
      model: MARKUP,
      client: MARKUP,
      queued_at: iso(now),
      waited_ms: 0,
      reason: { code: 'turn_busy', text: MARKUP, waits_for: MARKUP },
    }),
  ];
  scene.history.push(scenes.line(now, 'out_of_memory', { job: 'j_m', target: `ollama/${MARKUP}`, message: MARKUP }));
  await withPlane(scene, async (plane) => {
    const watched = await WatchedPage.open(browser, plane.url, 1280);
    await watched.settled();
    // Each place by itself: the sentence, the queue's model, client and reason, a consumer's error and model, the past.
    const places = [
      '.sentence',
      '.row .model',
      '.row .client',
      '.row .reason',
      '.cause',
      '.model-name',
      '.happened li',
    ];
    for (const place of places) await watched.page.locator(place).filter({ hasText: MARKUP }).first().waitFor();
    await watched.page.locator('.row a').first().click();
    await watched.page.getByText('It waits.').waitFor();
    await watched.page.locator('.job-about').filter({ hasText: MARKUP }).waitFor();
    await watched.page.locator('.phases').filter({ hasText: MARKUP }).waitFor();
    assert.equal(await watched.page.locator('img, b:text-is("bold")').count(), 0);
    assert.equal(await watched.page.title(), 'mGPUmanager');
    await watched.assertQuiet();
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
    const watched = await WatchedPage.open(browser, plane.url, 1280);
    await watched.page.getByText('0 running, 1,000 waiting').waitFor();
    await watched.page.locator('.row[aria-setsize="1000"]').first().waitFor();
    await watched.painted();
    assert.ok((await watched.page.locator('.row').count()) < 60);
    assert.ok(Number(await watched.page.evaluate('document.documentElement.scrollHeight')) < 6000, 'the list scrolls');
    await watched.page.locator('.rows').focus();
    await watched.page.keyboard.press('End');
    await watched.page.getByText('place 1000', { exact: true }).waitFor();
    assert.deepEqual(await watched.axe(), []);
    await watched.assertQuiet();
    await watched.close();
  });
});
