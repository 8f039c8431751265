/**
 * Runs a helper program of the system that may hang, lie or leave children behind. Owns the process group and the
 * output pipes of one call; never waits for either longer than it is told, never keeps more output than its limit.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';

export interface ToolCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** For standard output, and again for standard error. */
  readonly maxOutputBytes: number;
  /** How long after the tool's end its output may stay open (a child of it holds it) before it counts as all there. */
  readonly exitGraceMs: number;
}

export type ToolEnd =
  | {
      readonly type: 'ended';
      /** null: ended by `signal`. */
      readonly exitCode: number | null;
      readonly signal: NodeJS.Signals | null;
      readonly stdout: string;
      readonly stderr: string;
    }
  | { readonly type: 'too_much' }
  | { readonly type: 'not_started'; readonly cause: NodeJS.ErrnoException };

export interface ToolProcess {
  /** The tool's own end. May never settle (a process stuck in the kernel outlives SIGKILL). */
  readonly ended: Promise<ToolEnd>;
  /** Nothing of it is left: it ended, and nobody holds its output any more. May never settle. */
  readonly gone: Promise<void>;
  /** SIGKILL for it and all that stayed in its process group. */
  kill(): void;
  /** Kills, and lets this process end even if the tool does not. */
  abandon(): void;
}

export function startTool(options: ToolCommand): ToolProcess {
  let child: ChildProcess;
  try {
    // A process group of its own: what it leaves behind can be ended with it, and Ctrl-C in a terminal does not reach it.
    child = spawn(options.command, options.args, {
      env: options.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
  } catch (cause) {
    // Node throws what it does not report as an event, ENOEXEC for one.
    return neverStarted(cause instanceof Error ? cause : new Error(String(cause)));
  }
  // Both are missing where this process has no file descriptors left for them.
  const pipes = [child.stdout, child.stderr].filter((pipe) => pipe instanceof Socket);
  const stdout = new LimitedText(child.stdout, options.maxOutputBytes);
  const stderr = new LimitedText(child.stderr, options.maxOutputBytes);

  const ended = new Promise<ToolEnd>((resolve) => {
    const settle = (exitCode: number | null, signal: NodeJS.Signals | null) => {
      const tooMuch = stdout.overflowed || stderr.overflowed;
      resolve(
        tooMuch
          ? { type: 'too_much' }
          : { type: 'ended', exitCode, signal, stdout: stdout.text(), stderr: stderr.text() },
      );
    };
    child.once('error', (cause: NodeJS.ErrnoException) => resolve({ type: 'not_started', cause }));
    child.once('close', settle);
    child.once('exit', (exitCode, signal) => {
      const grace = setTimeout(() => {
        // Somebody it started holds its output. The answer is complete all the same: the tool itself has ended.
        settle(exitCode, signal);
        killGroup(child);
      }, options.exitGraceMs);
      child.once('close', () => clearTimeout(grace));
    });
  });
  // Node gives no 'close' for a process that could not be started at all.
  const gone = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => {
      if (child.pid === undefined) resolve();
    });
  });
  const kill = () => {
    if (child.exitCode === null && child.signalCode === null) killGroup(child);
  };
  stdout.onOverflow = kill;
  stderr.onOverflow = kill;
  return {
    ended,
    gone,
    kill,
    abandon() {
      kill();
      child.unref();
      for (const pipe of pipes) pipe.unref().destroy();
    },
  };
}

function neverStarted(cause: NodeJS.ErrnoException): ToolProcess {
  const nothing = () => {};
  return {
    ended: Promise.resolve({ type: 'not_started', cause }),
    gone: Promise.resolve(),
    kill: nothing,
    abandon: nothing,
  };
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    // ESRCH: nobody of that group is left, which is what was wanted. EPERM: what is left runs as another user; it then
    // counts as a process that cannot be ended, as one stuck in the kernel does.
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}

/** Reads a pipe to its end whatever comes, keeps the beginning. */
class LimitedText {
  onOverflow: () => void = () => {};
  overflowed = false;
  readonly #chunks: Buffer[] = [];
  #sizeBytes = 0;

  constructor(pipe: NodeJS.ReadableStream | null, limitBytes: number) {
    // A pipe that breaks has ended; the exit code says the rest.
    pipe?.on('error', () => {});
    pipe?.on('data', (chunk: Buffer) => {
      if (this.overflowed) return;
      this.#sizeBytes += chunk.length;
      if (this.#sizeBytes <= limitBytes) {
        this.#chunks.push(chunk);
        return;
      }
      this.overflowed = true;
      this.onOverflow();
    });
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}
