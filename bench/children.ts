/**
 * The processes of a benchmark: Node scripts of this folder, nginx, the daemon. Owns them, and ends them all; a
 * benchmark leaves no process and no folder behind.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../test/support/free-port.js';

/** The checkout, from dist/bench. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const START_MAY_TAKE_MS = 15_000;
const END_MAY_TAKE_MS = 5_000;

export interface Running {
  readonly pid: number;
  readonly url: string;
  end(): Promise<void>;
}

export class Children {
  readonly #running = new Set<ChildProcess>();
  readonly folder: string = mkdtempSync(join(tmpdir(), 'mgpu-bench-'));

  /** One of the scripts beside this one, which listens on the port that is its first argument. */
  startScript(name: string, ...args: readonly string[]): Promise<Running> {
    const script = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
    return this.start(process.execPath, (port) => [script, String(port), ...args]);
  }

  /** Returns when the program answers on the loopback port that its arguments were made with. */
  async start(program: string, argsFor: (port: number) => readonly string[], path = '/'): Promise<Running> {
    const port = await freePort();
    const child = spawn(program, argsFor(port), { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#running.add(child);
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000);
    });
    child.once('error', (error) => {
      said += error.message;
    });
    const url = `http://127.0.0.1:${port}`;
    const giveUpAt = performance.now() + START_MAY_TAKE_MS;
    while (!(await answers(url + path))) {
      if (child.exitCode !== null || child.pid === undefined || performance.now() > giveUpAt) {
        await this.#end(child);
        throw new Error(`${program} does not answer at ${url}${path}; it said: ${said}`);
      }
      await pause(20);
    }
    return { pid: child.pid ?? 0, url, end: () => this.#end(child) };
  }

  async endAll(): Promise<void> {
    await Promise.all([...this.#running].map((child) => this.#end(child)));
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #end(child: ChildProcess): Promise<void> {
    this.#running.delete(child);
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MAY_TAKE_MS);
    await gone;
    clearTimeout(timer);
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1000) });
    await answer.arrayBuffer();
    return answer.status < 500;
  } catch {
    // Not yet; whoever waits gives up after a while, with what the program said.
    return false;
  }
}
