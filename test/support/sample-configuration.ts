/** A configuration in force, as the loader would make it, for tests that need one and not its file. */
import type { Configuration, ConsumerConfiguration } from '../../src/config/configuration.js';
import { consumerId } from '../../src/core/vocabulary.js';
import type { ConfigurationPort } from '../../src/runtime/ports.js';

export function sampleConsumer(name: string, changes: Partial<ConsumerConfiguration> = {}): ConsumerConfiguration {
  return {
    id: consumerId(name),
    kind: 'http',
    url: 'http://127.0.0.1:8766',
    health: { path: '/health', expect: null, anyAnswer: false },
    paths: { tts: '/tts' },
    passes: [],
    vramResidentMib: null,
    vramRunMib: null,
    canCoexistWith: [],
    load: null,
    unload: null,
    unit: null,
    start: 'parked',
    processes: null,
    parallel: 1,
    class: 'interactive',
    models: new Map(),
    cards: [0],
    pin: false,
    headers: {},
    drainMs: 5000,
    timeouts: {
      connectMs: 2000,
      loadMs: 180_000,
      unloadMs: 15_000,
      uploadMs: 600_000,
      firstByteMs: null,
      idleMs: 300_000,
      runMs: 3_600_000,
    },
    waiting: 'comment',
    speech: null,
    voices: new Map(),
    defaultVoice: null,
    workflows: new Map(),
    ...changes,
  };
}

export function sampleConfiguration(changes: Partial<Configuration> = {}): Configuration {
  const mvoice = sampleConsumer('mvoice');
  return {
    file: null,
    bind: [{ host: '127.0.0.1', port: 0 }],
    policy: 'locked',
    routes: { tts: mvoice.id },
    audioProxy: null,
    aliases: new Map(),
    gpu: { source: 'auto', intervalMs: 2000, reserveMib: 512, totalMib: null },
    health: { intervalMs: 5000, timeoutMs: 2000 },
    queue: {
      max: 500,
      timeoutMs: { interactive: 540_000, normal: 1_800_000, batch: 21_600_000 },
      noRoomMs: 30_000,
    },
    limits: { bodyBytes: 2 ** 29, bufferBytes: 2 ** 26, memoryBytes: 2 ** 29, spoolBytes: 2 ** 32 },
    access: {
      allow: ['127.0.0.0/8', '::1/128', '10.0.0.0/8', '100.64.0.0/10', 'fd00::/8'],
      operators: ['127.0.0.0/8', '::1/128'],
      proxies: ['127.0.0.0/8', '::1/128'],
      hosts: null,
      origins: [],
    },
    log: { level: 'info' },
    stateDir: '/nowhere',
    consumers: new Map([[mvoice.id, mvoice]]),
    ...changes,
  };
}

/** A configuration that a test can replace while others hold the port. */
export class HeldConfiguration implements ConfigurationPort {
  held: Configuration;
  refusal: string | null = null;

  constructor(configuration: Configuration = sampleConfiguration()) {
    this.held = configuration;
  }

  current(): Configuration {
    return this.held;
  }

  loadedAt(): number {
    return Date.UTC(2026, 10, 25, 8, 0, 0);
  }

  error(): string | null {
    return this.refusal;
  }

  async reload(): Promise<{ changed: boolean; needsRestart: readonly string[] }> {
    return { changed: true, needsRestart: ['bind'] };
  }
}
