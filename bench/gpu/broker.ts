/** The real daemon as a process of its own, and what it tells while it runs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { type Consumers, SPECS } from './consumers.js';

const PORT = 8790;
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface BrokerEvent {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface StatusJson {
  readonly scheduler: { readonly evictions: number; readonly loads: number };
  readonly gpu: { readonly error: string | null };
  readonly consumers: Readonly<Record<string, { readonly gpu_resident_mib: number | null }>>;
}

export class Broker {
  readonly url = `http://127.0.0.1:${PORT}`;
  readonly events: BrokerEvent[] = [];
  readonly #process: ChildProcess;
  readonly #stateDir: string;

  constructor(child: ChildProcess, stateDir: string) {
    this.#process = child;
    this.#stateDir = stateDir;
  }

  static async start(options: {
    readonly folder: string;
    readonly name: string;
    readonly policy: string;
    readonly consumers: Consumers;
    readonly env: NodeJS.ProcessEnv;
  }): Promise<Broker> {
    const stateDir = join(options.folder, `state-${options.name}`);
    mkdirSync(stateDir, { recursive: true });
    const file = join(options.folder, `${options.name}.yaml`);
    writeFileSync(file, configuration(options.policy, stateDir));
    const child = spawn(process.execPath, [MAIN, 'serve', '--config', file], {
      env: options.env,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const broker = new Broker(child, stateDir);
    while (!(await broker.#isUp())) await pause(100);
    broker.#follow();
    return broker;
  }

  status(): Promise<StatusJson> {
    return new Promise((resolve, reject) => {
      const call = get(`${this.url}/v1/status`, { agent: false }, (res) => {
        let text = '';
        res.setEncoding('utf8');
        res.on('data', (chunk: string) => {
          text += chunk;
        });
        res.on('end', () => resolve(JSON.parse(text) as StatusJson));
      });
      call.on('error', reject);
    });
  }

  /** By target: resident and run, MiB. */
  learned(): Record<string, { resident: number | null; run: number | null }> {
    const memory = JSON.parse(readFileSync(join(this.#stateDir, 'memory.json'), 'utf8')) as {
      targets: Record<string, { resident: { mib: number } | null; run: { mib: number } | null }>;
    };
    return Object.fromEntries(
      Object.entries(memory.targets).map(([name, { resident, run }]) => [
        name,
        { resident: resident?.mib ?? null, run: run?.mib ?? null },
      ]),
    );
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#process.once('exit', () => resolve());
      this.#process.kill('SIGTERM');
    });
  }

  async #isUp(): Promise<boolean> {
    try {
      const { consumers } = (await this.status()) as unknown as { consumers: Record<string, { health: string }> };
      return Object.values(consumers).every(({ health }) => health === 'up');
    } catch {
      return false;
    }
  }

  #follow(): void {
    get(`${this.url}/v1/events`, { agent: false }, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (chunk: string) => {
        const parts = (text + chunk).split('\n\n');
        text = parts.pop() ?? '';
        for (const part of parts) this.#take(part);
      });
    }).on('error', () => {});
  }

  #take(part: string): void {
    const name = /^event: (.*)$/m.exec(part)?.[1];
    const data = /^data: (.*)$/m.exec(part)?.[1];
    if (name === undefined || data === undefined) return;
    const parsed = JSON.parse(data) as Record<string, unknown>;
    this.events.push({ name, at: Date.parse(String(parsed.at)), data: parsed });
  }
}

function configuration(policy: string, state_dir: string): string {
  const consumers = Object.fromEntries(
    SPECS.map(({ name, port, residentMib, runMib }) => [
      name,
      {
        url: `http://127.0.0.1:${port}`,
        vram_resident_mib: residentMib + 610,
        vram_run_mib: runMib,
        unload: 'POST /unload',
      },
    ]),
  );
  return stringify({ bind: `127.0.0.1:${PORT}`, policy, log: { level: 'warn' }, state_dir, consumers });
}
