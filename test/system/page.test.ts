/**
 * The page in a real Chromium: each of its states at two widths, light and dark; axe finds nothing, no request leaves
 * the origin, the console is still. `npm run pictures` keeps a picture of each in docs/screenshots.
 * Needs Chromium (MGPU_CHROMIUM, else where Debian puts it) and the built page.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchBrowser, SCHEMES, WatchedPage, WIDTHS } from '../support/browser-page.js';
import * as scenes from '../support/page-scenes.js';
import { type Scene, withPlane } from '../support/pretend-plane.js';

let browser: Browser;

before(async () => {
  browser = await launchBrowser();
});

after(() => browser.close());

const STATES: readonly { name: string; scene: (now: number) => Scene; says: RegExp }[] = [
  { name: 'empty', scene: scenes.empty, says: /No service stands behind this daemon yet/ },
  { name: 'calm', scene: scenes.calm, says: /All is well, nothing waits/ },
  {
    name: 'busy',
    scene: scenes.busy,
    says: /ollama is answering with qwen3:8b\. 3 jobs wait: comfyui waits until ollama\/qwen3:8b has finished/,
  },
  {
    name: 'evicting',
    scene: scenes.evicting,
    says: /mvoice is leaving the card\. 3 jobs wait: comfyui needs 8\.6 GiB more, mvoice is giving its memory back/,
  },
  { name: 'stuck', scene: scenes.stuck, says: /mvoice was asked to leave the card and keeps 4\.2 GiB/ },
  { name: 'out-of-memory', scene: scenes.outOfMemory, says: /comfyui ran out of GPU memory at/ },
  { name: 'draining', scene: scenes.draining, says: /No new jobs are taken: 1 job still running/ },
  { name: 'stale', scene: scenes.stale, says: /has not been read for \d+ s: nvidia-smi gave no answer/ },
  { name: 'consumer-down', scene: scenes.consumerDown, says: /mvoice does not answer on 127\.0\.0\.1:8766 since/ },
];

/** Both schemes of what is shown now. */
async function looked(watched: WatchedPage, name: string): Promise<void> {
  for (const scheme of SCHEMES) {
    await watched.turn(scheme);
    assert.deepEqual(await watched.axe(), [], `${name}, ${scheme}`);
    await watched.picture(`${name}-${scheme}`);
  }
}

for (const { name, scene, says } of STATES) {
  for (const width of WIDTHS) {
    test(`${name}, ${width} px, light and dark`, async () => {
      await withPlane(scene(Date.now()), async (plane) => {
        const watched = await WatchedPage.open(browser, plane.url, width);
        await watched.page.getByText(says).first().waitFor();
        await watched.settled();
        await looked(watched, `${name}-${width}`);
        await watched.assertQuiet();
        await watched.close();
      });
    });
  }
}

describe('disconnected and back', () => {
  for (const width of WIDTHS) {
    test(`${width} px, light and dark`, async () => {
      await withPlane(scenes.busy(Date.now()), async (plane) => {
        const watched = await WatchedPage.open(browser, plane.url, width);
        await watched.page.getByText('3 jobs wait').first().waitFor();
        await watched.settled();
        await plane.close();
        await watched.page.getByText(/No contact with the daemon since/).waitFor();
        const actions = watched.page.getByRole('button', { name: /Cancel|evict|Drain/ });
        assert.equal(await actions.count(), 0, 'no action without contact');
        await looked(watched, `disconnected-${width}`);
        // The jobs ended while nobody listened: they must not haunt the page.
        plane.scene = scenes.calm(Date.now());
        await plane.open();
        await watched.page.getByText(/All is well, nothing waits/).waitFor();
        await watched.page.getByText(/No contact/).waitFor({ state: 'detached' });
        assert.equal(await watched.page.locator('.row').count(), 0, 'no ghosts in the queue');
        assert.deepEqual(watched.strangers, []);
        await watched.close();
      });
    });
  }
});

for (const width of WIDTHS) {
  test(`an observer is told from where one could act, and sees no buttons that would fail: ${width} px`, async () => {
    await withPlane({ ...scenes.busy(Date.now()), mayOperate: false }, async (plane) => {
      const watched = await WatchedPage.open(browser, plane.url, width);
      await watched.page.getByText(/Look only:/).waitFor();
      await watched.page.getByText(/act from 127\.0\.0\.0\/8, 100\.64\.0\.0\/10/).waitFor();
      await watched.settled();
      assert.equal(await watched.page.getByRole('button', { name: /^(evict|load|pin) / }).count(), 0);
      // Its own job may be cancelled by whoever sent it.
      assert.equal(await watched.page.getByRole('button', { name: /^Cancel / }).count(), 1);
      await looked(watched, `observer-${width}`);
      await watched.assertQuiet();
      await watched.close();
    });
  });

  test(`a job has a page of its own, reached by its address and from the overview: ${width} px`, async () => {
    await withPlane(scenes.outOfMemory(Date.now()), async (plane) => {
      const path = '/ui/jobs/j_oom1k3v9x2m7q1t5w8zb';
      const watched = await WatchedPage.open(browser, plane.url, width, path);
      await watched.page
        .getByText(/Failed \(gpu_out_of_memory\)/)
        .first()
        .waitFor();
      await watched.page.getByText('live', { exact: true }).waitFor();
      await looked(watched, `job-${width}`);
      await watched.page.getByRole('link', { name: '← Overview' }).click();
      await watched.page
        .getByRole('link', { name: /out of GPU memory: CUDA/ })
        .first()
        .click();
      await watched.page.waitForURL(`**${path}`);
      await watched.assertQuiet();
      await watched.close();
    });
  });
}
