/**
 * The composition root: builds the parts, wires them, starts and stops them in order. The only file that knows them
 * all; it decides nothing itself.
 */
import { readFileSync } from 'node:fs';
import type { KindDefaults } from './adapters/adapter.js';
import { createConsumerPort } from './adapters/consumer-port.js';
import { KINDS } from './adapters/registry.js';
import {
  type Configuration,
  type ConsumerConfiguration,
  formatProblem,
  type KindName,
} from './config/configuration.js';
import { diffConfiguration } from './config/diff.js';
import { type Loaded, type LoadResult, loadConfiguration, parseConfiguration } from './config/load.js';
import { watchFile } from './config/watch.js';
import { createControl } from './control/control.js';
import { progressOf } from './control/health.js';
import { createReloadable } from './control/reload.js';
import { newBrokerState } from './core/state.js';
import type { PolicyName } from './core/vocabulary.js';
import { createOpenAi } from './openai/openai.js';
import { createHealthProbes } from './probes/health.js';
import { askHealth } from './probes/health-request.js';
import { type CardProbe, createCardProbe } from './probes/nvidia-smi.js';
import { createProcessUse } from './probes/process-use.js';
import { ProcessOwners } from './probes/processes.js';
import { createProxy } from './proxy/proxy.js';
import { createAsker } from './runtime/asker.js';
import { systemClock } from './runtime/clock.js';
import { createExecutor } from './runtime/executor.js';
import { Journal } from './runtime/journal.js';
import { Loop } from './runtime/loop.js';
import { MemoryFile } from './runtime/memory-file.js';
import type { BrokerPort, ConfigurationPort, JournalPort, Log } from './runtime/ports.js';
import { settingsOf } from './runtime/settings.js';
import { createUnits } from './runtime/units.js';
import { createServer } from './server/server.js';

/** How long running jobs may take to finish once the daemon was told to stop. */
const FINISH_MS = 30_000;

/** What needed no grant (a page, a file, an event stream) may take so long to end after the jobs have. */
const PASSES_MAY_TAKE_MS = 2_000;

/** What the command line says instead of the file. */
export interface Overrides {
  readonly policy?: PolicyName;
  readonly bind?: Configuration['bind'];
}

export interface DaemonOptions {
  /** A file, which is watched, or a text (from `discover`), which is not. */
  readonly source: { readonly file: string } | { readonly text: string; readonly name: string };
  readonly overrides?: Overrides;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  /** Called with each configuration that comes into force, the first one too. */
  readonly onConfiguration?: (configuration: Configuration) => void;
}

export interface Daemon {
  /** Where it can be asked, one per bind address; a wildcard address is given as the loopback one. */
  readonly urls: readonly string[];
  readonly configuration: ConfigurationPort;
  readonly broker: BrokerPort;
  readonly journal: JournalPort;
  /** The loop turns and nobody who could run stands still (`/healthz` says the same). */
  healthy(): boolean;
  /** No new jobs, waiting ones are refused, running ones finish within 30 s; then everything is closed. */
  stop(): Promise<void>;
}

/** The configuration cannot be used; `problems` are lines of `FILE:LINE:COLUMN KEY.PATH: …`. */
export class ConfigurationRefused extends Error {
  override readonly name = 'ConfigurationRefused';
  readonly result: Extract<LoadResult, { good: false }>;

  constructor(result: Extract<LoadResult, { good: false }>) {
    super('the configuration cannot be used');
    this.result = result;
  }
}

export const VERSION: string = readVersion();

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : '?';
}

export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { env, log } = options;
  const clock = systemClock;
  const { configuration: loaded, digest } = await loadOrThrow(options);
  options.onConfiguration?.(loaded);

  const journal = new Journal(log);
  const memory = new MemoryFile(loaded.stateDir, log);
  const loop = new Loop(newBrokerState(settingsFor(loaded), clock.now(), memory.load()), clock);
  const owners = new ProcessOwners();
  owners.configure(loaded.consumers.values());
  const configuration = createReloadable({
    initial: loaded,
    log,
    load: 'file' in options.source ? () => load(options) : null,
    compare: diffConfiguration,
    apply(next) {
      options.onConfiguration?.(next);
      owners.configure(next.consumers.values());
      loop.post({ type: 'ConfigApplied', settings: settingsFor(next) });
      probes.configurationChanged();
      cards.configurationChanged();
    },
  });

  const proxy = createProxy({ broker: loop, configuration, adapters: KINDS, clock, log });
  const openai = createOpenAi({ door: proxy.door, broker: loop, journal, configuration, adapters: KINDS, clock, log });
  const probes = createHealthProbes({ broker: loop, configuration, clock, log });
  const consumerOf = (pid: number) => owners.consumerOf(pid);
  const cards = createCardProbe({ broker: loop, configuration, clock, log, env, consumerOf });
  const control = createControl({
    broker: loop,
    journal,
    configuration,
    clock,
    log,
    version: VERSION,
    startedAt: clock.now(),
  });
  const server = createServer({ configuration, log, routes: [...control.routes, ...openai.routes, ...proxy.routes] });

  const consumers = createConsumerPort({ configuration, adapters: KINDS, env });
  const asker = createAsker({
    broker: loop,
    configuration,
    consumers,
    clock,
    use: createProcessUse({ env, consumerOf }),
  });
  loop.start(
    createExecutor({
      broker: loop,
      jobs: proxy.jobs,
      journal,
      consumers,
      units: createUnits({ configuration, env, isHealthy: (consumer) => isHealthy(consumer, configuration) }),
      card: { measure: () => void measure(cards, loop) },
      memory,
      operators: control.operators,
    }),
  );
  const addresses = await server.listen().catch((error: unknown) => {
    loop.close();
    proxy.close();
    control.close();
    throw error;
  });
  await control.start();
  probes.start();
  cards.start();
  asker.start();
  openai.start();
  const watch =
    'file' in options.source
      ? watchFile(options.source.file, () => reloadQuietly(configuration), log, { digest })
      : null;

  return {
    urls: addresses.map(urlOf),
    configuration,
    broker: loop,
    journal,
    healthy: () => progressOf(loop, clock).healthy,
    async stop() {
      watch?.close();
      loop.post({ type: 'OperatorAsked', action: { kind: 'shut_down' }, by: 'the service manager' });
      const finished = await untilIdle(loop, journal, FINISH_MS);
      if (!finished) log.warn({}, `jobs were still running after ${FINISH_MS / 1000} s; they are cut`);
      probes.close();
      cards.close();
      asker.close();
      openai.close();
      control.close();
      await server.close(finished ? PASSES_MAY_TAKE_MS : 0);
      proxy.close();
      loop.close();
      await control.finish();
    },
  };
}

const settingsFor = (configuration: Configuration) => settingsOf(configuration, (kind) => KINDS[kind].powers);

/** Where there is nothing to measure with, whoever waits for a reading must hear that, too. */
async function measure(cards: CardProbe, broker: BrokerPort): Promise<void> {
  const { reading, error } = await cards.measure();
  if (reading === null) broker.post({ type: 'CardMeasured', reading, error });
}

async function isHealthy(consumer: ConsumerConfiguration, configuration: ConfigurationPort): Promise<boolean> {
  const { timeoutMs } = configuration.current().health;
  const { result } = await askHealth(consumer, { timeoutMs, signal: AbortSignal.timeout(timeoutMs) });
  return result === 'good';
}

async function loadOrThrow(options: DaemonOptions): Promise<Loaded> {
  const result = await load(options);
  if (!result.good) throw new ConfigurationRefused(result);
  for (const warning of result.warnings) options.log.warn({}, formatProblem(warning));
  return result;
}

async function load({ source, overrides, env }: DaemonOptions): Promise<LoadResult> {
  const kinds = kindDefaults();
  const result =
    'file' in source
      ? await loadConfiguration(source.file, { env, kinds })
      : parseConfiguration(source.text, { env, kinds, name: source.name });
  return result.good ? { ...result, configuration: { ...result.configuration, ...overrides } } : result;
}

export function kindDefaults(): Readonly<Record<KindName, KindDefaults>> {
  const { http, ollama, comfyui, openai, automatic1111 } = KINDS;
  return {
    http: http.defaults,
    ollama: ollama.defaults,
    'whisper-server': KINDS['whisper-server'].defaults,
    comfyui: comfyui.defaults,
    openai: openai.defaults,
    automatic1111: automatic1111.defaults,
  };
}

/** A refusal is logged and remembered by `reload` itself; the old configuration stays. */
async function reloadQuietly(configuration: ConfigurationPort): Promise<void> {
  await configuration.reload('the file').catch(() => undefined);
}

/** False: it took too long. */
function untilIdle(broker: BrokerPort, journal: JournalPort, limitMs: number): Promise<boolean> {
  if (broker.snapshot().inFlight === 0) return Promise.resolve(true);
  return new Promise((resolve) => {
    const end = (idle: boolean) => {
      clearTimeout(timer);
      stop();
      resolve(idle);
    };
    const timer = setTimeout(() => end(false), limitMs);
    const stop = journal.subscribe(({ fact }) => {
      if (fact.type === 'job' && fact.change === 'work_over' && broker.snapshot().inFlight === 0) end(true);
    });
  });
}

function urlOf({ host, port }: Configuration['bind'][number]): string {
  const asked = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${asked.includes(':') ? `[${asked}]` : asked}:${port}`;
}
