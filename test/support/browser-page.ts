/** A real browser looking at the page: what it asked for, what it complained about, what axe finds. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { z } from 'zod';

/** Chromium's own talk to the outside is switched off, so that what remains is the page's. */
const FLAGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--force-color-profile=srgb',
];

export type Width = 1280 | 390;
export type Scheme = 'light' | 'dark';
export const WIDTHS: readonly Width[] = [1280, 390];
export const SCHEMES: readonly Scheme[] = ['light', 'dark'];

/** Where pictures are kept; unset: none are made, the page is checked all the same. */
const PICTURES = process.env.MGPU_PICTURES ?? '';
export const IS_PICTURED = PICTURES !== '';
const HEIGHTS: Readonly<Record<Width, number>> = { 1280: 900, 390: 844 };

/** For an event of the page on a machine that is busy with other things. */
const LIMIT_MS = 60_000;

const violations = z.array(
  z.object({
    id: z.string(),
    help: z.string(),
    nodes: z.array(z.object({ html: z.string(), failureSummary: z.string() })),
  }),
);

export function launchBrowser(): Promise<Browser> {
  const root = process.getuid?.() === 0;
  return chromium.launch({
    executablePath: process.env.MGPU_CHROMIUM ?? '/usr/bin/chromium',
    args: root ? ['--no-sandbox', ...FLAGS] : FLAGS,
  });
}

export class WatchedPage {
  readonly page: Page;
  readonly complaints: string[] = [];
  /** Addresses outside the origin that were asked for. */
  readonly strangers: string[] = [];

  private constructor(page: Page, origin: string) {
    this.page = page;
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(`${origin}/`)) this.strangers.push(request.url());
    });
  }

  static async open(browser: Browser, origin: string, width: Width, path = '/ui/'): Promise<WatchedPage> {
    const context = await browser.newContext({
      viewport: { width, height: HEIGHTS[width] },
      hasTouch: width === 390,
      colorScheme: 'light',
      reducedMotion: 'reduce',
      locale: 'en-GB',
      timezoneId: 'Europe/Berlin',
    });
    const watched = new WatchedPage(await context.newPage(), origin);
    watched.page.setDefaultTimeout(LIMIT_MS);
    await watched.page.goto(`${origin}${path}`, { waitUntil: 'domcontentloaded' });
    return watched;
  }

  /** As the system's setting changes while one looks. */
  async turn(scheme: Scheme): Promise<void> {
    await this.page.emulateMedia({ colorScheme: scheme });
    await this.painted();
  }

  /** What came so far is drawn: elements in the first frame, canvases (after it) in the next. */
  async painted(): Promise<void> {
    await this.page.evaluate(
      'new Promise((done) => { let frames = 0; const next = () => (++frames > 3 ? done() : requestAnimationFrame(next)); next(); })',
    );
  }

  /** History came, and the timeline is painted with it. */
  async settled(): Promise<void> {
    await this.page.getByText('live', { exact: true }).waitFor();
    await this.page
      .getByText(/mGPUmanager started|is on the card|ran \d/)
      .first()
      .waitFor();
    await this.painted();
  }

  async axe(): Promise<string[]> {
    await this.page.evaluate(axe.source);
    const found = violations.parse(await this.page.evaluate('axe.run().then((result) => result.violations)'));
    return found.map(
      ({ id, help, nodes }) =>
        `${id}: ${help}\n${nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`).join('\n')}`,
    );
  }

  /** The whole page; `part`: only what fits the window. */
  async picture(name: string, part: 'whole' | 'window' = 'whole'): Promise<void> {
    if (!IS_PICTURED) return;
    mkdirSync(PICTURES, { recursive: true });
    await this.page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: part === 'whole' });
  }

  /** How many pixels something is wider than the page. */
  async overflow(): Promise<number> {
    return Number(
      await this.page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'),
    );
  }

  /** All that must hold of every page that was looked at. */
  async assertQuiet(): Promise<void> {
    assert.equal(await this.overflow(), 0, 'something is wider than the page');
    assert.deepEqual(this.complaints, [], 'the console complained');
    assert.deepEqual(this.strangers, [], 'a request left the origin');
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}
