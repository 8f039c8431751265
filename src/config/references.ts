/**
 * What takes more than one key to judge: names of consumers, ports used twice, keys that another key makes necessary.
 * Looks at the data as it came, so that it can speak in the same breath as the schema; what is not of the right type
 * here was reported there. Owns no state.
 */
import { isIPv6 } from 'node:net';
import type { KindDefaults } from '../adapters/adapter.js';
import { CAPABILITIES, targetOfName } from '../core/vocabulary.js';
import { KIND_NAMES, type KindName } from './configuration.js';
import type { Finding, Path } from './document.js';
import { nearest, suggestion } from './nearest.js';
import { CONSUMER_NAME } from './schema.js';
import { readBindAddress, readServiceUrl } from './values.js';

export type Kinds = Readonly<Record<KindName, KindDefaults>>;
type Entries = Readonly<Record<string, unknown>>;

/** An empty one where the data is something else. */
export const entriesOf = (data: unknown): Entries =>
  typeof data === 'object' && data !== null && !Array.isArray(data) ? { ...data } : {};

const listOf = (data: unknown): readonly unknown[] => (Array.isArray(data) ? data : data === undefined ? [] : [data]);

/** null: not a kind that exists, or the key itself is mistyped: then nothing is known of what the kind brings. */
export function kindOf(consumer: unknown): KindName | null {
  const entries = entriesOf(consumer);
  const mistyped = entries.kind === undefined && Object.keys(entries).some((key) => nearest(key, ['kind']) !== null);
  const kind = mistyped ? null : (entries.kind ?? 'http');
  return KIND_NAMES.find((name) => name === kind) ?? null;
}

const value = (path: Path, message: string): Finding => ({ path, at: 'value', message });
const missing = (path: Path, message: string): Finding => ({ path, at: 'missing', message });

function names(consumers: Entries): Finding[] {
  return Object.keys(consumers)
    .filter((name) => !CONSUMER_NAME.test(name))
    .map((name) => ({
      path: ['consumers', name],
      at: 'key',
      message: 'not a name; write lower-case letters, digits, -, _ and ., beginning with a letter or digit',
    }));
}

function reference(path: Path, name: unknown, consumers: Entries): Finding[] {
  if (typeof name !== 'string' || Object.hasOwn(consumers, name)) return [];
  return [value(path, `there is no consumer of this name; ${suggestion(name, Object.keys(consumers))}`)];
}

function routes(file: Entries, consumers: Entries, kinds: Kinds): Finding[] {
  return CAPABILITIES.flatMap((capability) => {
    const name = entriesOf(file.routes)[capability];
    const unknown = reference(['routes', capability], name, consumers);
    if (typeof name !== 'string' || unknown.length > 0) return unknown;
    const kind = kindOf(consumers[name]);
    if (kind === null || kinds[kind].paths[capability] !== undefined) return [];
    if (entriesOf(entriesOf(consumers[name]).paths)[capability] !== undefined) return [];
    const right = `add the path on which ${name} answers, such as ${capability}: /${capability}`;
    return [missing(['consumers', name, 'paths', capability], `missing, routes.${capability} needs it; ${right}`)];
  });
}

function aliases(file: Entries, consumers: Entries): Finding[] {
  return Object.entries(entriesOf(file.aliases)).flatMap(([alias, target]) => {
    if (typeof target !== 'string' || target === '' || target.startsWith('/')) return [];
    return reference(['aliases', alias], targetOfName(target).consumer, consumers);
  });
}

function speech(consumers: Entries, kinds: Kinds): Finding[] {
  return Object.entries(consumers).flatMap(([name, consumer]) => {
    const { speech: given, paths } = entriesOf(consumer);
    const kind = kindOf(consumer);
    if (given === undefined || kind === null || kinds[kind].paths.tts !== undefined) return [];
    if (entriesOf(given).path !== undefined || entriesOf(paths).tts !== undefined) return [];
    const right = `add the path on which ${name} is asked for speech, such as path: /v1/tts`;
    return [missing(['consumers', name, 'speech', 'path'], `missing, there is no paths.tts either; ${right}`)];
  });
}

function workflows(consumers: Entries): Finding[] {
  return Object.entries(consumers).flatMap(([name, consumer]) => {
    const kind = kindOf(consumer);
    if (entriesOf(consumer).workflows === undefined || kind === null || kind === 'comfyui') return [];
    const message = `only a consumer of kind comfyui has workflows, not ${kind}; remove the key`;
    return [{ path: ['consumers', name, 'workflows'], at: 'key' as const, message }];
  });
}

function coexistence(consumers: Entries): Finding[] {
  return Object.entries(consumers).flatMap(([consumer, keys]) =>
    listOf(entriesOf(keys).can_coexist_with).flatMap((name, index) => {
      const path = ['consumers', consumer, 'can_coexist_with', index];
      if (name === consumer) return [value(path, 'names the consumer itself; remove it')];
      return reference(path, name, consumers);
    }),
  );
}

/** `localhost` and the loopback addresses are one place; so are all spellings of one IPv6 address. */
function canonicalHost(host: string): string {
  if (/^(localhost|127(\.\d+){3}|::1|\[::1\])$/i.test(host)) return 'loopback';
  return new URL(`http://${isIPv6(host) ? `[${host}]` : host}`).hostname;
}

/** Host and port of a consumer, and where that was said. null: it has none, or none that can be read. */
function addressOf(name: string, consumer: unknown, kinds: Kinds) {
  const kind = kindOf(consumer);
  if (kind === null) return null;
  const own = entriesOf(consumer).url;
  const text = own ?? kinds[kind].url;
  const reading = typeof text === 'string' ? readServiceUrl(text) : { wrong: '' };
  if ('wrong' in reading) return null;
  const url = new URL(reading.value);
  const path = ['consumers', name, 'url'];
  return { host: canonicalHost(url.hostname), port: url.port === '' ? 80 : Number(url.port), path };
}

function urls(consumers: Entries, kinds: Kinds): Finding[] {
  return Object.entries(consumers).flatMap(([name, consumer]) => {
    const kind = kindOf(consumer);
    if (kind === null || entriesOf(consumer).url !== undefined || kinds[kind].url !== null) return [];
    const right = 'add the address of the service, such as url: http://127.0.0.1:8766';
    return [missing(['consumers', name, 'url'], `missing, a consumer of kind ${kind} has no usual one; ${right}`)];
  });
}

const EVERY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '[::]']);

function ports(file: Entries, consumers: Entries, kinds: Kinds): Finding[] {
  const bound = new Map<string, string>();
  const findings: Finding[] = [];
  const isList = Array.isArray(file.bind);
  listOf(file.bind ?? '127.0.0.1:8770').forEach((text, index) => {
    const reading = typeof text === 'string' ? readBindAddress(text) : { wrong: '' };
    if ('wrong' in reading || reading.value.port === 0) return;
    const address = `${canonicalHost(reading.value.host)}:${reading.value.port}`;
    if (bound.has(address))
      findings.push(value(['bind', index], `this address is already ${bound.get(address)}; remove one`));
    else bound.set(address, isList ? `bind[${index}]` : 'bind');
  });
  const taken = new Map<string, string>();
  for (const [name, consumer] of Object.entries(consumers)) {
    const address = addressOf(name, consumer, kinds);
    if (address === null) continue;
    const { host, port, path } = address;
    const everywhere = host === 'loopback' ? [...EVERY_ADDRESS].find((any) => bound.has(`${any}:${port}`)) : undefined;
    const own = bound.get(`${everywhere ?? host}:${port}`);
    const other = taken.get(`${host}:${port}`);
    if (own !== undefined)
      findings.push(value(path, `this is our own address (${own}); give one of them another port`));
    else if (other !== undefined)
      findings.push(value(path, `the same address as consumers.${other}; give one of them another port`));
    else taken.set(`${host}:${port}`, name);
  }
  return findings;
}

/** Everything that does not fit together; empty: it fits. */
export function referenceFindings(data: unknown, kinds: Kinds): Finding[] {
  const file = entriesOf(data);
  const consumers = entriesOf(file.consumers);
  return [
    ...names(consumers),
    ...routes(file, consumers, kinds),
    ...reference(['audio_proxy'], file.audio_proxy, consumers),
    ...aliases(file, consumers),
    ...speech(consumers, kinds),
    ...workflows(consumers),
    ...coexistence(consumers),
    ...urls(consumers, kinds),
    ...ports(file, consumers, kinds),
  ];
}
