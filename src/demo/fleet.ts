/**
 * The four demo services as processes: started together, watched, stopped together. Owns the child processes; no
 * service outlives this process, not even if it is killed (`process.ts` sees to that).
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Order, reportSchema, SERVICE_NAMES, type ServiceName } from './fleet-messages.js';

const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 3_000;

export interface FleetMember {
  readonly name: ServiceName;
  readonly url: string;
  readonly pid: number;
}

export interface Fleet {
  readonly members: readonly FleetMember[];
  stop(): Promise<void>;
}

export interface FleetOptions {
  readonly speed: number;
  readonly folder: string;
  readonly cardFolder: string;
  /** A service ended although nobody stopped it. */
  readonly onLoss: (name: ServiceName, how: string) => void;
}

const PROGRAM = fileURLToPath(new URL('./process.js', import.meta.url));

/** Resolves with its address, or rejects with what it said, how it ended, or that it took too long. */
function firstReport(name: ServiceName, child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => {
      clearTimeout(timer);
      reject(new Error(`the demo's ${name} did not start: ${what}`));
    };
    const timer = setTimeout(() => fail(`no word from it within ${START_LIMIT_MS / 1000} s`), START_LIMIT_MS);
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code, signal) => fail(`it ended (${signal ?? `exit code ${code}`})`));
    child.once('message', (message) => {
      const report = reportSchema.safeParse(message);
      if (!report.success) return fail('it said something that is no report');
      if (report.data.type === 'failed') return fail(report.data.message);
      clearTimeout(timer);
      resolve(report.data.url);
    });
  });
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await exited;
  clearTimeout(timer);
}

/** Starts all four; if one does not start, none stays. */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const children = new Map<ServiceName, ChildProcess>();
  let stopping = false;
  const stop = async (): Promise<void> => {
    stopping = true;
    await Promise.all([...children.values()].map(stopChild));
  };
  const start = async (name: ServiceName): Promise<FleetMember> => {
    const order: Order = { name, speed: options.speed, folder: options.folder, cardFolder: options.cardFolder };
    // Its standard output is closed: the demo's own output stays readable. Its errors are shown.
    const child = fork(PROGRAM, [JSON.stringify(order)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: [],
    });
    children.set(name, child);
    const url = await firstReport(name, child);
    child.once('exit', (code, signal) => {
      if (!stopping) options.onLoss(name, signal ?? `exit code ${code}`);
    });
    return { name, url, pid: child.pid ?? 0 };
  };
  try {
    return { members: await Promise.all(SERVICE_NAMES.map(start)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
