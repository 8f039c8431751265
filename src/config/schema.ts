/**
 * The schema of the whole configuration file: the single source of its types, messages, general defaults, JSON Schema
 * and reference page. What needs more than one key to be judged is in `references.ts`. Owns no state.
 */
import * as z from 'zod';
import { POLICY_NAMES, type PolicyName } from '../core/vocabulary.js';
import { consumerSchema } from './consumer-schema.js';
import * as leaf from './leaves.js';

/** Remove a line when its policy is built; the last of the list to leave is then the default, if it earned it. */
const POLICIES_NOT_YET: Readonly<Partial<Record<PolicyName, string>>> = {
  'swap-aware': 'not yet: this version does not have swap-aware; write vram-lru, or remove the key',
};
const DEFAULT_POLICY: PolicyName = 'vram-lru';

const SOURCES_NOT_YET = { nvml: 'not yet: this version does not read NVML; write auto or nvidia-smi' };

/** RFC 1122 3.2.1.3 and RFC 4291 2.5.3. */
const LOOPBACK = ['127.0.0.0/8', '::1/128'];
/** RFC 1918, RFC 4193, and link-local of RFC 3927 and RFC 4291. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', 'fc00::/7', 'fe80::/10'];
/** Where Tailscale gives its addresses; the second lies inside fc00::/7 and is named for those who read. */
const TAILSCALE = ['100.64.0.0/10', 'fd7a:115c:a1e0::/48'];

const networks = leaf.listOf(leaf.network, 'not a list; write networks such as [192.168.0.0/16]');

const gpu = z.strictObject({
  source: leaf
    .word(['auto', 'nvidia-smi', 'none'], SOURCES_NOT_YET)
    .prefault('auto')
    .describe('where readings of the cards come from; auto: the best that works'),
  interval: leaf.duration.prefault('2s').describe('sample period'),
  reserve_mib: leaf.mibOrZero.prefault(512).describe('MiB kept free on every card'),
  total_mib: leaf.mib.optional().meta({ description: 'MiB; the budget where nothing can be measured', absent: 'none' }),
});

const health = z.strictObject({
  interval: leaf.duration.prefault('5s').describe('between two probes of a consumer; one in flight'),
  timeout: leaf.duration.prefault('2s').describe('longest wait for the answer to a probe'),
});

const timeoutByClass = z.strictObject({
  interactive: leaf.durationOrForever.prefault('9m'),
  normal: leaf.durationOrForever.prefault('30m'),
  batch: leaf.durationOrForever.prefault('6h'),
});

const queueTimeout = z
  .union([leaf.durationOrForever, timeoutByClass], {
    error: 'not a duration; write a duration such as 10m, 0 for ever, or {interactive: 9m, normal: 30m, batch: 6h}',
  })
  .transform((given) =>
    typeof given === 'object' && given !== null ? given : { interactive: given, normal: given, batch: given },
  );

const queue = z.strictObject({
  max: leaf
    .whole(1, 100_000, 'jobs')
    .prefault(500)
    .describe('jobs that have not begun, counted from their headers on; above it 429'),
  timeout: queueTimeout.prefault({}).describe('longest wait for a grant; one value, or by class; 0: for ever'),
  no_room: leaf.duration.prefault('30s').describe('how long to wait for room that only strangers could give back'),
});

const limits = z.strictObject({
  body_mib: leaf.mib.prefault(512).describe("MiB of one request's body"),
  buffer_mib: leaf.mib.prefault(64).describe('MiB that one answer may run ahead of a slow reader'),
  memory_mib: leaf.mib.prefault(512).describe('MiB of bodies and read-ahead together in memory'),
  spool_mib: leaf.mibOrZero.prefault(4096).describe('MiB of bodies on disk, in state_dir/spool'),
});

const access = z.strictObject({
  allow: networks.prefault([...LOOPBACK, ...PRIVATE, ...TAILSCALE]).describe('networks that may ask'),
  operators: networks.prefault(LOOPBACK).describe('networks that may change things'),
  proxies: networks.prefault(LOOPBACK).describe('from there, the last address in X-Forwarded-For is the caller'),
  hosts: leaf
    .listOf(leaf.hostPattern, 'not a list; write host names such as [gpu.example.org]')
    .min(1, { error: 'an empty list answers nobody; write at least one name, or remove the key' })
    .optional()
    .meta({
      description: 'Host names answered, `*.suffix` for all below',
      absent:
        "IP addresses, localhost, single-label names, the machine's own names, *.ts.net, *.local, *.lan, *.internal, *.home.arpa",
    }),
  origins: leaf
    .listOf(leaf.origin, 'not a list; write origins such as [https://chat.example.org]')
    .prefault([])
    .describe(
      'pages of other origins that may ask and read answers from a browser, never change things; `*`: every page',
    ),
  keys_file: leaf.notYet('; callers outside access.allow cannot be let in yet'),
});

const log = z.strictObject({
  level: leaf
    .word(['trace', 'debug', 'info', 'warn', 'error'])
    .prefault('info')
    .describe('least grave line that is written'),
});

/** What a consumer may be called; the name is part of a URL and of metrics. Checked in `references.ts`: zod
 * does not look at the value behind a key that it refuses. */
export const CONSUMER_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export const fileSchema = z.strictObject({
  bind: leaf
    .oneOrMore(leaf.bindAddress, 'not an address; write for instance 127.0.0.1:8770, or a list')
    .prefault('127.0.0.1:8770')
    .describe('host:port, or a list; a change needs a restart'),
  policy: leaf
    .word(
      POLICY_NAMES.filter((name) => POLICIES_NOT_YET[name] === undefined),
      POLICIES_NOT_YET,
    )
    .prefault(DEFAULT_POLICY)
    .describe(
      'who may use the card when; vram-lru: one job at a time, room is made for it; locked: one job at a time, nothing is unloaded; passthrough: every job at once',
    ),
  routes: leaf.perCapability(leaf.consumerName).prefault({}).describe('which consumer serves a capability'),
  audio_proxy: leaf.consumerName
    .optional()
    .meta({ description: 'the consumer that answers GET /audio/*', absent: 'none' }),
  aliases: z
    .record(z.string().min(1, { error: 'an empty name; write the name that clients ask for' }), leaf.aliasTarget, {
      error: leaf.unlessAbsent('not aliases; write one NAME: CONSUMER/MODEL a line'),
    })
    .prefault({})
    .describe(
      'names of models on the OpenAI routes: NAME: CONSUMER or NAME: CONSUMER/MODEL; they go before the names that consumers list',
    ),
  gpu: gpu.prefault({}),
  health: health.prefault({}),
  queue: queue.prefault({}),
  limits: limits.prefault({}),
  access: access.prefault({}),
  log: log.prefault({}),
  state_dir: leaf.stateFolder.optional().meta({
    description: 'absolute path for what is remembered over a restart; a change needs a restart',
    absent: '$XDG_STATE_HOME/mgpumanager',
  }),
  consumers: z.record(z.string().meta({ pattern: CONSUMER_NAME.source }), consumerSchema, {
    error: leaf.unlessAbsent('not consumers; write one NAME: {kind: ...} a line'),
  }),
});

/** The file, checked, with the general defaults filled in. */
export type CheckedFile = z.output<typeof fileSchema>;
