/** A real browser looking at the page: what it asked for, what it complained about, what axe finds. */
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

export interface Looks {
  readonly width: 1280 | 390;
  readonly scheme: 'light' | 'dark';
}

export const LOOKS: readonly Looks[] = [
  { width: 1280, scheme: 'light' },
  { width: 1280, scheme: 'dark' },
  { width: 390, scheme: 'light' },
  { width: 390, scheme: 'dark' },
];

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

  static async open(browser: Browser, origin: string, { width, scheme }: Looks, path = '/ui/'): Promise<WatchedPage> {
    const context = await browser.newContext({
      viewport: { width, height: width === 390 ? 844 : 900 },
      deviceScaleFactor: width === 390 ? 2 : 1,
      hasTouch: width === 390,
      colorScheme: scheme,
      reducedMotion: 'reduce',
      locale: 'en-GB',
      timezoneId: 'Europe/Berlin',
    });
    const watched = new WatchedPage(await context.newPage(), origin);
    watched.page.setDefaultTimeout(60_000);
    await watched.page.goto(`${origin}${path}`, { waitUntil: 'domcontentloaded' });
    return watched;
  }

  async axe(): Promise<string[]> {
    await this.page.evaluate(axe.source);
    const found = violations.parse(await this.page.evaluate('axe.run().then((result) => result.violations)'));
    return found.map(
      ({ id, help, nodes }) =>
        `${id}: ${help}\n${nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`).join('\n')}`,
    );
  }

  async picture(folder: string, name: string): Promise<void> {
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}
