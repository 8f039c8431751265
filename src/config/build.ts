/** From the checked words of the file to the `Configuration` that everybody reads: names, units, defaults. Pure. */
import { consumerId } from '../core/vocabulary.js';
import type {
  Configuration,
  ConsumerConfiguration,
  HealthCheck,
  ModelConfiguration,
  SpeechConfiguration,
} from './configuration.js';
import type { CheckedConsumer } from './consumer-schema.js';
import type { CheckedFile } from './schema.js';
import type { Workflows } from './workflow-files.js';

const MIB = 1024 * 1024;

function healthCheck(given: CheckedConsumer['health']): HealthCheck {
  if (given === undefined) return { path: '/', expect: null, anyAnswer: true };
  if (typeof given === 'string') return { path: given, expect: null, anyAnswer: false };
  const { path, expect } = given;
  if (expect === undefined) return { path, expect: null, anyAnswer: false };
  if (typeof expect === 'string') return { path, expect: { text: expect }, anyAnswer: false };
  return { path, expect: { statuses: typeof expect === 'number' ? [expect] : expect }, anyAnswer: false };
}

function model(given: CheckedConsumer['models'][string]): ModelConfiguration {
  return {
    vramResidentMib: given.vram_resident_mib ?? null,
    vramRunMib: given.vram_run_mib ?? null,
    class: given.class ?? null,
    pin: given.pin,
  };
}

function speech({ speech: given, paths }: CheckedConsumer): SpeechConfiguration | null {
  const path = given?.path ?? paths.tts;
  if (given === undefined || path === undefined) return null;
  return {
    path,
    textMember: given.text,
    voiceMember: given.voice,
    audioMember: given.audio ?? null,
    wavOnly: (given.formats ?? (given.audio === undefined ? 'any' : 'wav')) === 'wav',
  };
}

/** Without the keys that hold nothing, as `exactOptionalPropertyTypes` wants it. */
function present<Key extends string, Value, Result>(
  given: { readonly [K in Key]?: Value | undefined },
  read: (value: Value) => Result,
): Partial<Record<Key, Result>> {
  const result: Partial<Record<Key, Result>> = {};
  for (const key in given) {
    const value = given[key];
    if (value !== undefined) result[key] = read(value);
  }
  return result;
}

function consumer(
  name: string,
  given: CheckedConsumer,
  workflows: ConsumerConfiguration['workflows'],
): ConsumerConfiguration {
  if (given.url === undefined) throw new Error(`consumer ${name} has no url; the checks must have refused it`);
  return {
    id: consumerId(name),
    kind: given.kind,
    url: given.url,
    health: healthCheck(given.health),
    paths: present(given.paths, (path) => path),
    passes: given.passes,
    vramResidentMib: given.vram_resident_mib ?? null,
    vramRunMib: given.vram_run_mib ?? null,
    canCoexistWith: given.can_coexist_with.map(consumerId),
    load: given.load ?? null,
    unload: given.unload ?? null,
    unit: given.unit ?? null,
    start: given.start,
    processes: given.processes ?? null,
    parallel: given.parallel,
    class: given.class,
    models: new Map(Object.entries(given.models).map(([modelName, keys]) => [modelName, model(keys)])),
    cards: given.cards,
    pin: given.pin,
    headers: given.headers,
    drainMs: given.drain,
    timeouts: {
      connectMs: given.timeouts.connect,
      loadMs: given.timeouts.load,
      unloadMs: given.timeouts.unload,
      uploadMs: given.timeouts.upload,
      firstByteMs: given.timeouts.first_byte ?? null,
      idleMs: given.timeouts.idle,
      runMs: given.timeouts.run,
    },
    waiting: given.waiting,
    speech: speech(given),
    voices: new Map(Object.entries(given.voices)),
    defaultVoice: given.default_voice ?? null,
    workflows,
  };
}

/** `stateDir`: absolute, whatever the file says of it. */
export function buildConfiguration(
  checked: CheckedFile,
  file: string | null,
  stateDir: string,
  workflows: Workflows,
): Configuration {
  const { limits } = checked;
  const consumers = Object.entries(checked.consumers).map(([name, given]) =>
    consumer(name, given, workflows.get(name) ?? new Map()),
  );
  return {
    file,
    bind: checked.bind,
    policy: checked.policy,
    routes: present(checked.routes, consumerId),
    audioProxy: checked.audio_proxy === undefined ? null : consumerId(checked.audio_proxy),
    aliases: new Map(Object.entries(checked.aliases)),
    gpu: {
      source: checked.gpu.source,
      intervalMs: checked.gpu.interval,
      reserveMib: checked.gpu.reserve_mib,
      totalMib: checked.gpu.total_mib ?? null,
    },
    health: { intervalMs: checked.health.interval, timeoutMs: checked.health.timeout },
    queue: { max: checked.queue.max, timeoutMs: checked.queue.timeout, noRoomMs: checked.queue.no_room },
    limits: {
      bodyBytes: limits.body_mib * MIB,
      bufferBytes: limits.buffer_mib * MIB,
      memoryBytes: limits.memory_mib * MIB,
      spoolBytes: limits.spool_mib * MIB,
    },
    access: {
      allow: checked.access.allow,
      operators: checked.access.operators,
      proxies: checked.access.proxies,
      hosts: checked.access.hosts ?? null,
      origins: checked.access.origins,
    },
    log: { level: checked.log.level },
    stateDir,
    consumers: new Map(consumers.map((one) => [one.id, one])),
  };
}
