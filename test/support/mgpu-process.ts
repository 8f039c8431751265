/** `mgpu` as a real process: its output, its end, and its signals. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** Far more than any step takes; so that a test that waits in vain fails by itself. */
const STEP_MAY_TAKE_MS = 15_000;

export interface MgpuProcess {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves when the text so far, stdout and stderr each on its own, matches. Rejects when the process has ended. */
  until(pattern: RegExp): Promise<void>;
  /** The exit code, or the name of the signal that ended it. */
  readonly end: Promise<number | string>;
}

/** Nothing of the environment the tests run in, but the way to Node. */
export function startMgpu(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}): MgpuProcess {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env.PATH, HOME: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { stdout: '', stderr: '' };
  const watchers = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
      for (const look of watchers) look();
    });
  }
  const end = new Promise<number | string>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'no code')),
  );
  t.after(async () => {
    child.kill('SIGKILL');
    await end;
  });

  function until(pattern: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        finish();
        reject(new Error(`${why} before ${pattern} came; stdout: ${text.stdout}\nstderr: ${text.stderr}`));
      };
      const timer = setTimeout(() => fail(`${STEP_MAY_TAKE_MS} ms passed`), STEP_MAY_TAKE_MS);
      const look = () => {
        if (!pattern.test(text.stdout) && !pattern.test(text.stderr)) return false;
        finish();
        resolve();
        return true;
      };
      function finish(): void {
        clearTimeout(timer);
        watchers.delete(look);
      }
      watchers.add(look);
      if (!look()) void end.then((code) => watchers.has(look) && !look() && fail(`it ended (${code})`));
    });
  }

  return { child, stdout: () => text.stdout, stderr: () => text.stderr, until, end };
}

export interface MgpuResult {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runMgpu(
  t: TestContext,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<MgpuResult> {
  const run = startMgpu(t, args, env);
  const code = await run.end;
  return { code, stdout: run.stdout(), stderr: run.stderr() };
}
