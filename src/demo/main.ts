/**
 * The demo: four service processes, a pretend card, and the real daemon in front of them. Owns one temporary folder
 * (card, configuration, state) and what it started; `stop` leaves nothing behind. Takes the daemon as a parameter.
 */

import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { stringify } from 'yaml';
import { type CardSpec, createCard } from './card-files.js';
import { type Fleet, type FleetMember, startFleet } from './fleet.js';
import { FOLDER_PREFIX, type ServiceName } from './fleet-messages.js';
import { installNvidiaSmi } from './smi-script.js';
import { PICTURE_REQUEST, PICTURE_WORKFLOW, welcome } from './welcome.js';

/** The part of the daemon that the demo needs. */
export interface DemoDaemon {
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

export type StartDaemon = (options: {
  readonly configFile: string;
  readonly env: NodeJS.ProcessEnv;
}) => Promise<DemoDaemon>;

export interface DemoOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** How many times faster than usual the services work. */
  readonly speed: number;
  readonly policy: string;
  readonly env: NodeJS.ProcessEnv;
  readonly startDaemon: StartDaemon;
  readonly print: (text: string) => void;
}

export interface Demo {
  readonly url: string;
  readonly folder: string;
  readonly members: readonly FleetMember[];
  stop(): Promise<void>;
}

/** Said as it is to the person who started the demo. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
}

/** Too small for all of them at once: that is what the broker is for. */
const DEMO_CARD: CardSpec = {
  index: 0,
  uuid: 'GPU-00000000-0000-4000-8000-0000000d0e00',
  name: 'mGPUmanager pretend card 24GB',
  totalMib: 24_564,
  reservedMib: 380,
};

/** Beside the configuration. */
const WORKFLOW_FILE = 'workflow.json';

const hostInUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host);

function isAddressInUse(error: unknown): boolean {
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    if (('code' in each && each.code === 'EADDRINUSE') || each.message.includes('EADDRINUSE')) return true;
  }
  return false;
}

const portTaken = (host: string, port: number): DemoError =>
  new DemoError(
    `Port ${port} on ${host} is in use, perhaps by another mGPUmanager. Stop that one, or try: mgpu demo --port ${port + 1}`,
  );

/** Looks before anything is started; the daemon's own failure to bind is told in the same words. */
async function checkPort(host: string, port: number): Promise<void> {
  if (port === 0) return;
  const probe = createServer();
  try {
    probe.listen(port, host);
    await once(probe, 'listening');
  } catch (error) {
    if (isAddressInUse(error)) throw portTaken(host, port);
    throw new DemoError(
      `Cannot listen on ${hostInUrl(host)}:${port}: ${error instanceof Error ? error.message : error}`,
    );
  }
  probe.close();
  await once(probe, 'close');
}

function demoConfiguration(options: DemoOptions, members: readonly FleetMember[], stateDir: string): string {
  const url = (name: ServiceName): string => members.find((member) => member.name === name)?.url ?? '';
  return stringify({
    bind: `${hostInUrl(options.host)}:${options.port}`,
    policy: options.policy,
    routes: { tts: 'mvoice', stt: 'whisper-server', llm: 'ollama', image: 'comfyui' },
    audio_proxy: 'mvoice',
    aliases: { 'whisper-1': 'whisper-server', 'tts-1': 'mvoice', 'dall-e-3': 'comfyui/demo-xl' },
    gpu: { source: 'nvidia-smi' },
    log: { level: 'error' },
    state_dir: stateDir,
    consumers: {
      mvoice: {
        kind: 'http',
        url: url('mvoice'),
        health: '/health',
        paths: { tts: '/v1/tts' },
        speech: { text: 'text', audio: 'audio' },
        default_voice: 'tones',
        unload: 'POST /unload',
      },
      'whisper-server': { kind: 'whisper-server', url: url('whisper-server') },
      ollama: { kind: 'ollama', url: url('ollama') },
      comfyui: {
        kind: 'comfyui',
        url: url('comfyui'),
        workflows: { 'demo-xl': { file: WORKFLOW_FILE, size: '512x512' } },
      },
    },
  });
}

/** Undoes what was done, last things first; one failure does not keep the others from it. */
class Cleanup {
  readonly #steps: (() => Promise<unknown>)[] = [];

  later(step: () => Promise<unknown>): void {
    this.#steps.unshift(step);
  }

  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.splice(0)) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw new AggregateError(failures, `the demo did not end cleanly: ${failures.join('; ')}`);
  }
}

async function startServices(options: DemoOptions, folder: string): Promise<Fleet> {
  const cardFolder = join(folder, 'card');
  createCard(cardFolder, DEMO_CARD);
  installNvidiaSmi(join(folder, 'bin'), cardFolder);
  return startFleet({
    speed: options.speed,
    folder,
    cardFolder,
    onLoss: (name, how) => options.print(`The demo's ${name} ended (${how}); the broker will call it down.\n`),
  });
}

async function startBroker(options: DemoOptions, folder: string, members: readonly FleetMember[]): Promise<DemoDaemon> {
  const configFile = join(folder, 'consumers.yaml');
  writeFileSync(join(folder, WORKFLOW_FILE), JSON.stringify(PICTURE_WORKFLOW));
  writeFileSync(configFile, demoConfiguration(options, members, join(folder, 'state')));
  const env = { ...options.env, PATH: `${join(folder, 'bin')}${delimiter}${options.env.PATH ?? ''}` };
  try {
    return await options.startDaemon({ configFile, env });
  } catch (error) {
    throw isAddressInUse(error) ? portTaken(options.host, options.port) : error;
  }
}

export async function startDemo(options: DemoOptions): Promise<Demo> {
  await checkPort(options.host, options.port);
  const cleanup = new Cleanup();
  const folder = mkdtempSync(join(tmpdir(), FOLDER_PREFIX));
  cleanup.later(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  try {
    const fleet = await startServices(options, folder);
    cleanup.later(() => fleet.stop());
    const daemon = await startBroker(options, folder, fleet.members);
    cleanup.later(() => daemon.stop());
    const url = daemon.urls[0] ?? `http://${hostInUrl(options.host)}:${options.port}`;
    const pictureFile = join(folder, 'picture.json');
    writeFileSync(pictureFile, JSON.stringify(PICTURE_REQUEST));
    const { name: cardName, totalMib: cardMib } = DEMO_CARD;
    options.print(welcome({ url, policy: options.policy, cardName, cardMib, members: fleet.members, pictureFile }));
    return { url, folder, members: fleet.members, stop: () => cleanup.run() };
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}
