/**
 * The page of the real daemon in a real Chromium, with the demo and its traffic behind it: the timeline tells a story
 * within a minute. Needs what `page.test.ts` needs.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDemo } from '../../src/demo/main.js';
import { startTraffic } from '../../src/demo/traffic.js';
import { startDaemon } from '../../src/main.js';
import { IS_PICTURED, launchBrowser, WatchedPage } from '../support/browser-page.js';
import { valueAt } from '../support/json-value.js';
import { SilentLog } from '../support/silent-log.js';
import { eventually } from './programs.js';

/** A picture is taken of the demo as a person sees it. */
const SPEED = IS_PICTURED ? 1 : 3;
/** A person would see it within a minute; a machine that does other things beside may take longer. */
const LIMIT_MS = 180_000;

test('the demo: loads, evictions, waits, services taking turns', async () => {
  const browser = await launchBrowser();
  const demo = await startDemo({
    host: '127.0.0.1',
    port: 0,
    speed: SPEED,
    policy: 'vram-lru',
    env: { ...process.env },
    print: () => {},
    startDaemon: ({ configFile, env }) => startDaemon({ source: { file: configFile }, env, log: new SilentLog() }),
  });
  const traffic = startTraffic({ url: demo.url, speed: SPEED, print: () => {} });
  try {
    const watched = await WatchedPage.open(browser, demo.url, 1280);
    const { page } = watched;
    await page.getByText('live', { exact: true }).waitFor();
    await page.getByRole('button', { name: '2 min' }).click();
    const happened = page.locator('.happened');
    await happened
      .getByText(/is leaving the card: evicted for/)
      .nth(1)
      .waitFor({ timeout: LIMIT_MS });
    await happened
      .getByText(/is on the card: in VRAM after/)
      .nth(2)
      .waitFor({ timeout: LIMIT_MS });
    await happened
      .getByText(/done, ran .* waited/)
      .first()
      .waitFor({ timeout: LIMIT_MS });
    if (IS_PICTURED) {
      await eventually('a story worth a picture', LIMIT_MS, async () => {
        const status: unknown = await (await fetch(`${demo.url}/v1/status`)).json();
        return Number(valueAt(status, 'scheduler', 'evictions')) >= 9 ? true : undefined;
      });
      await page
        .getByText(/waits until .* has finished/)
        .first()
        .waitFor();
    }
    await watched.painted();
    await watched.picture('demo-1280-light', 'whole');
    assert.deepEqual(await watched.axe(), []);
    await page.setViewportSize({ width: 390, height: 844 });
    await watched.turn('dark');
    assert.equal(await watched.overflow(), 0);
    await page
      .getByRole('link', { name: /done, ran/ })
      .first()
      .click();
    await page
      .getByText(/^Done\.$/)
      .first()
      .waitFor();
    await watched.painted();
    assert.deepEqual(await watched.axe(), []);
    await watched.assertQuiet();
    await watched.close();
  } finally {
    await traffic.stop();
    await demo.stop();
    await browser.close();
  }
});
