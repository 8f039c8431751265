/** Four PyTorch services, each a process of its own that believes the card is its own. Sizes as issue 11 names them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { get } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

export const SPECS = [
  { name: 'a', port: 9101, residentMib: 20_000, runMib: 6000 },
  { name: 'b', port: 9102, residentMib: 20_000, runMib: 8000 },
  { name: 'c', port: 9103, residentMib: 36_000, runMib: 10_000 },
  { name: 'd', port: 9104, residentMib: 30_000, runMib: 20_000 },
] as const;

const RUN_MS = 400;
const START_MS = 120_000;

export interface Consumers {
  readonly pids: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

export async function startConsumers(script: string): Promise<Consumers> {
  const processes = SPECS.map(({ port, residentMib, runMib }) =>
    spawn('python3', [script, String(port), String(residentMib), String(runMib), String(RUN_MS)], { stdio: 'inherit' }),
  );
  await Promise.all(SPECS.map(({ port }) => untilItAnswers(port)));
  return {
    pids: new Map(SPECS.map(({ name }, index) => [name, processes[index]?.pid ?? 0])),
    async stop() {
      await Promise.all(processes.map(end));
    },
  };
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

async function untilItAnswers(port: number): Promise<void> {
  for (const giveUpAt = performance.now() + START_MS; performance.now() < giveUpAt; await pause(200)) {
    if (await answers(port)) return;
  }
  throw new Error(`nobody answers on port ${port}`);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const call = get({ host: '127.0.0.1', port, path: '/', agent: false }, (res) => {
      res.resume();
      resolve(true);
    });
    call.on('error', () => resolve(false));
  });
}
