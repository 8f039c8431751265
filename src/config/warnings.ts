/**
 * Good keys without effect: said, because somebody wrote them in order to get something. Which keys a policy reads is
 * written down here and nowhere else. Owns no state.
 */
import type { PolicyName } from '../core/vocabulary.js';
import type { Configuration, KindName } from './configuration.js';
import type { Finding, Path } from './document.js';
import { entriesOf } from './references.js';

/** Policies that measure, load and evict; all others only decide who goes next. */
const MAKES_ROOM: Readonly<Record<PolicyName, boolean>> = {
  passthrough: false,
  locked: false,
  'vram-lru': true,
  'swap-aware': true,
};

/** Read only where room is made. Below a consumer, a model, and at the top of the file. */
const CONSUMER_KEYS = ['vram_resident_mib', 'vram_run_mib', 'can_coexist_with', 'load', 'unload', 'unit', 'start'];
const MORE_CONSUMER_KEYS = ['processes', 'cards', 'pin'];
const MODEL_KEYS = ['vram_resident_mib', 'vram_run_mib', 'pin'];
const TIMEOUT_KEYS = ['load', 'unload'];
const GENERAL_KEYS: readonly Path[] = [
  ['gpu', 'reserve_mib'],
  ['gpu', 'total_mib'],
  ['queue', 'no_room'],
];

const valueAt = (data: unknown, path: Path): unknown =>
  path.reduce<unknown>((inner, segment) => entriesOf(inner)[segment], data);

/** A value that says what holds anyway promises nothing, and is not worth a warning. */
function promises(value: unknown): boolean {
  return value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
}

function withoutRoom(data: unknown, consumer: string): Path[] {
  const base: Path = ['consumers', consumer];
  const models = Object.keys(entriesOf(valueAt(data, [...base, 'models'])));
  return [
    ...[...CONSUMER_KEYS, ...MORE_CONSUMER_KEYS].map((key) => [...base, key]),
    ...TIMEOUT_KEYS.map((key) => [...base, 'timeouts', key]),
    ...models.flatMap((name) => MODEL_KEYS.map((key) => [...base, 'models', name, key])),
  ];
}

function parallelFinding(data: unknown, consumer: string, policy: PolicyName): Finding[] {
  const path: Path = ['consumers', consumer, 'parallel'];
  const given = valueAt(data, path);
  if (typeof given !== 'number' || given <= 1 || policy === 'swap-aware') return [];
  const why = policy === 'passthrough' ? 'runs every job at once' : 'runs one job at a time';
  return [{ path, at: 'key', message: `no effect: policy ${policy} ${why}; remove the key, or leave it for later` }];
}

/** Kinds that give nothing back when asked, unless the file says how. */
const CANNOT_BE_ASKED: readonly KindName[] = ['http', 'whisper-server'];

/** Where room is made, one that can neither be asked to unload nor stopped holds its memory for good. */
function notEvictable({ consumers }: Configuration): Finding[] {
  return [...consumers.values()]
    .filter(({ kind, unload, unit }) => CANNOT_BE_ASKED.includes(kind) && unload === null && unit === null)
    .map(({ id }) => ({
      path: ['consumers', id],
      at: 'key',
      message: 'cannot be evicted: its memory is never given back for others; add `unload` or its `unit`',
    }));
}

/** What the file says in vain under the policy in force. */
export function warningsOf(data: unknown, configuration: Configuration): Finding[] {
  const { policy } = configuration;
  const consumers = [...configuration.consumers.keys()];
  const findings = consumers.flatMap((name) => parallelFinding(data, name, policy));
  if (!MAKES_ROOM[policy]) {
    const message = `no effect: policy ${policy} neither loads nor unloads anything; remove the key, or leave it for later`;
    const paths = [...GENERAL_KEYS, ...consumers.flatMap((name) => withoutRoom(data, name))];
    for (const path of paths) if (promises(valueAt(data, path))) findings.push({ path, at: 'key', message });
  }
  if (MAKES_ROOM[policy]) findings.push(...notEvictable(configuration));
  if (consumers.length === 0) {
    findings.push({
      path: ['consumers'],
      at: 'key',
      message: 'no consumers: nothing can be asked of this broker; add one',
    });
  }
  return findings;
}
