/** Services as child processes, to be killed in mid-answer and started again on the same port. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from '../support/free-port.js';
import { ask, eventually } from '../system/programs.js';

const READY_WITHIN_MS = 60_000;
const STAND_IN = fileURLToPath(new URL('./stand-in-process.js', import.meta.url));

export interface Mortal {
  readonly url: string;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** After `kill`. Resolves when it answers. */
  start(): Promise<void>;
  /** From now on its answers break in this way; null: no longer. */
  suffer(fault: string | null): Promise<void>;
}

class MortalProcess implements Mortal {
  readonly url: string;
  readonly #readyPath: string;
  readonly #spawn: () => ChildProcess;
  #child: ChildProcess | null = null;

  constructor(url: string, readyPath: string, spawnIt: () => ChildProcess) {
    this.url = url;
    this.#readyPath = readyPath;
    this.#spawn = spawnIt;
  }

  async start(): Promise<void> {
    const child = this.#spawn();
    this.#child = child;
    const health = this.url + this.#readyPath;
    await eventually(`${health} is 200`, READY_WITHIN_MS, async () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
      return (await ask(health)).status === 200 ? true : undefined;
    });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  async suffer(fault: string | null): Promise<void> {
    const child = this.#child;
    if (child === null || !child.connected) throw new Error(`${this.url} is no stand-in that runs`);
    const taken = once(child, 'message');
    child.send(fault ?? 'none');
    await taken;
  }
}

/** `speed`: how many times faster than the demo's pace; below 1 there is time to kill it. */
export async function startMortalStandIn(name: 'llama' | 'ollama', speed: number): Promise<Mortal> {
  const port = await freePort();
  const spawnIt = () => fork(STAND_IN, [name, String(port), String(speed)], { execArgv: [] });
  const mortal = new MortalProcess(`http://127.0.0.1:${port}`, '/v1/models', spawnIt);
  await mortal.start();
  return mortal;
}

export async function startMortalProgram(
  program: string,
  argsFor: (port: number) => readonly string[],
): Promise<Mortal> {
  const port = await freePort();
  const spawnIt = () => spawn(program, argsFor(port), { stdio: 'ignore' });
  const mortal = new MortalProcess(`http://127.0.0.1:${port}`, '/health', spawnIt);
  await mortal.start();
  return mortal;
}
