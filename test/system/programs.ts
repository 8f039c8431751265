/** Running other programs in system tests, and waiting for what they bring about. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The checkout, from dist/test/system. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export interface Outcome {
  /** null: ended by a signal. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** What it reads from stdin. Default: nothing. */
  readonly input?: string;
  /** After it the program is killed and `status` is null. Default: two minutes. */
  readonly limitMs?: number;
}

/** Runs to its end. Rejects only if the program cannot be started. */
export async function runProgram(
  command: string,
  args: readonly string[],
  { cwd, env, input = '', limitMs = 120_000 }: ProgramOptions = {},
): Promise<Outcome> {
  const child = spawn(command, args, {
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    stdio: ['pipe', 'pipe', 'pipe'],
    signal: AbortSignal.timeout(limitMs),
    killSignal: 'SIGKILL',
  });
  // A program that does not read its stdin may be gone before it was written.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      if (error.name !== 'AbortError') reject(error);
      else stderr += `\nkilled after ${limitMs} ms`;
    });
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

/** As `runProgram`; throws with all that the program said unless it ends with 0. Returns stdout. */
export async function mustRun(command: string, args: readonly string[], options?: ProgramOptions): Promise<string> {
  const outcome = await runProgram(command, args, options);
  if (outcome.status === 0) return outcome.stdout;
  throw new Error(`${[command, ...args].join(' ')}: exit ${outcome.status}\n${outcome.stdout}\n${outcome.stderr}`);
}

/** Tries until `attempt` gives something; what it throws counts as not yet. The last complaint is in the error. */
export async function eventually<T>(what: string, limitMs: number, attempt: () => Promise<T | undefined>): Promise<T> {
  const endAt = performance.now() + limitMs;
  let complaint: unknown;
  while (performance.now() < endAt) {
    try {
      const found = await attempt();
      if (found !== undefined) return found;
    } catch (error) {
      complaint = error;
    }
    // What other programs do can only be asked for, not awaited.
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within ${limitMs} ms: ${what}`, { cause: complaint });
}

/** Ends a child that was started here; kills it if it does not go. */
export async function endChild(child: ChildProcess, limitMs = 10_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  await gone;
  clearTimeout(timer);
}

/** The status and the body's text; rejects when nobody answers within 5 s. */
export async function ask(url: string, init: RequestInit = {}): Promise<{ status: number; text: string }> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(5_000), ...init });
  return { status: answer.status, text: await answer.text() };
}
