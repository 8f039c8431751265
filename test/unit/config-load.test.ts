/** What a good file becomes: defaults, kinds, environment, origins, warnings. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatProblem } from '../../src/config/configuration.js';
import { type Loaded, parseConfiguration } from '../../src/config/load.js';
import { consumerId } from '../../src/core/vocabulary.js';
import { KIND_DEFAULTS } from '../support/kind-defaults.js';

const HOME = { HOME: '/home/somebody' };

function load(text: string, env: NodeJS.ProcessEnv = HOME): Loaded {
  const result = parseConfiguration(text, { env, kinds: KIND_DEFAULTS, name: 'good.yaml' });
  assert.ok(result.good, result.good ? '' : result.problems.map(formatProblem).join('\n'));
  return result;
}

function consumerOf({ configuration }: Loaded, name: string) {
  const consumer = configuration.consumers.get(consumerId(name));
  assert.ok(consumer);
  return consumer;
}

const SMALLEST = 'routes: { llm: ollama }\nconsumers:\n  ollama: { kind: ollama }\n';

test('the smallest file works and gets the defaults of the contract', () => {
  const { configuration, warnings } = load(SMALLEST);
  const { consumers, ...general } = configuration;
  assert.deepEqual(general, {
    file: null,
    bind: [{ host: '127.0.0.1', port: 8770 }],
    policy: 'vram-lru',
    routes: { llm: 'ollama' },
    audioProxy: null,
    aliases: new Map(),
    gpu: { source: 'auto', intervalMs: 2_000, reserveMib: 512, totalMib: null },
    health: { intervalMs: 5_000, timeoutMs: 2_000 },
    queue: { max: 500, timeoutMs: { interactive: 540_000, normal: 1_800_000, batch: 21_600_000 }, noRoomMs: 30_000 },
    limits: { bodyBytes: 2 ** 29, bufferBytes: 2 ** 26, memoryBytes: 2 ** 29, spoolBytes: 2 ** 32 },
    access: {
      allow: [
        ...['127.0.0.0/8', '::1/128', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16'],
        ...['fc00::/7', 'fe80::/10', '100.64.0.0/10', 'fd7a:115c:a1e0::/48'],
      ],
      operators: ['127.0.0.0/8', '::1/128'],
      proxies: ['127.0.0.0/8', '::1/128'],
      hosts: null,
      origins: [],
    },
    log: { level: 'info' },
    stateDir: '/home/somebody/.local/state/mgpumanager',
  });
  assert.deepEqual([...consumers.keys()], ['ollama']);
  assert.deepEqual(warnings, []);
});

test('a consumer gets what its kind brings, and the general defaults below that', () => {
  assert.deepEqual(consumerOf(load(SMALLEST), 'ollama'), {
    id: 'ollama',
    kind: 'ollama',
    url: 'http://127.0.0.1:11434',
    health: { path: '/api/version', expect: null, anyAnswer: false },
    paths: { llm: '/api/chat' },
    passes: ['POST /api/show'],
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
    drainMs: 1_000,
    timeouts: {
      connectMs: 2_000,
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
  });
  assert.equal(consumerOf(load('consumers: { c: { kind: comfyui } }'), 'c').class, 'batch');
});

test('the file goes over the kind, path by path', () => {
  const text =
    'consumers:\n  o: { kind: ollama, url: "http://gpu:1/x/", class: batch, drain: 0s, paths: { tts: /say } }\n';
  const consumer = consumerOf(load(text), 'o');
  assert.equal(consumer.url, 'http://gpu:1/x');
  assert.equal(consumer.class, 'batch');
  assert.equal(consumer.drainMs, 0);
  assert.deepEqual(consumer.paths, { llm: '/api/chat', tts: '/say' });
});

test('health: a path asks for 200 to 299, without one any answer counts, an expectation is kept', () => {
  const health = (keys: string) => consumerOf(load(`consumers: { a: { url: "http://a"${keys} } }`), 'a').health;
  assert.deepEqual(health(''), { path: '/', expect: null, anyAnswer: true });
  assert.deepEqual(health(', health: /h'), { path: '/h', expect: null, anyAnswer: false });
  const one = (expect: string) => health(`, health: { path: /h, expect: ${expect} }`).expect;
  assert.deepEqual(
    [one('204'), one('[200, 503]'), one('running')],
    [{ statuses: [204] }, { statuses: [200, 503] }, { text: 'running' }],
  );
});

test('load and unload: a line, an object whose body becomes JSON, or a command', () => {
  const call = (text: string) => consumerOf(load(`consumers: { a: { url: "http://a", unload: ${text} } }`), 'a').unload;
  assert.deepEqual(call('POST /free'), { method: 'POST', path: '/free', body: null, headers: {} });
  assert.deepEqual(call('{ path: /free, body: { all: true }, headers: { X-A: b } }'), {
    method: 'POST',
    path: '/free',
    body: '{"all":true}',
    headers: { 'content-type': 'application/json', 'X-A': 'b' },
  });
  assert.deepEqual(call('{ method: PUT, path: /free, body: plain }'), {
    method: 'PUT',
    path: '/free',
    body: 'plain',
    headers: {},
  });
  assert.deepEqual(call('{ command: [systemctl, --user, stop, x.service] }'), {
    command: ['systemctl', '--user', 'stop', 'x.service'],
  });
});

test('queue.timeout: one value holds for all classes, 0 is for ever, a class not named keeps its default', () => {
  const timeout = (text: string) => load(`queue: { timeout: ${text} }\n${SMALLEST}`).configuration.queue.timeoutMs;
  assert.deepEqual(timeout('1m'), { interactive: 60_000, normal: 60_000, batch: 60_000 });
  assert.deepEqual(timeout('0'), { interactive: null, normal: null, batch: null });
  assert.deepEqual(timeout('{ batch: 0 }'), { interactive: 540_000, normal: 1_800_000, batch: null });
});

test('bind: one address or a list, IPv6 in brackets, port 0 for any', () => {
  assert.deepEqual(load(`bind: ["[::1]:80", "0.0.0.0:0", "0.0.0.0:0"]\n${SMALLEST}`).configuration.bind, [
    { host: '::1', port: 80 },
    { host: '0.0.0.0', port: 0 },
    { host: '0.0.0.0', port: 0 },
  ]);
});

test('a single address among the networks becomes a network of one', () => {
  const { access } = load(`access: { allow: [1.2.3.4, "fd00::1"] }\n${SMALLEST}`).configuration;
  assert.deepEqual(access.allow, ['1.2.3.4/32', 'fd00::1/128']);
});

test('variables are filled in: a whole plain value is typed anew, a part of one and a quoted one stay text', () => {
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: the file's own syntax
  const text = [
    'queue: { max: 7 }',
    'consumers:',
    '  a:',
    '    url: http://${A_HOST}:${A_PORT:-90}',
    '    parallel: ${HOW_MANY}',
    '    health: "${EMPTY:-/fallback}"',
    '    headers:',
    '      Authorization: ${A_TOKEN}',
    '      Literal: $${A_TOKEN}',
    '    models:',
    '      ${A_HOST}: { pin: true }',
  ].join('\n');
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: the file's own syntax
  const loaded = load(text, { ...HOME, A_HOST: 'gpu', HOW_MANY: '3', EMPTY: '', A_TOKEN: '007' });
  const consumer = consumerOf(loaded, 'a');
  assert.equal(consumer.url, 'http://gpu:90');
  assert.equal(consumer.parallel, 3);
  assert.equal(consumer.health.path, '/fallback');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the file's own syntax
  assert.deepEqual(consumer.headers, { Authorization: '007', Literal: '${A_TOKEN}' });
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a key is never expanded
  assert.deepEqual([...consumer.models.keys()], ['${A_HOST}']);
});

test('aliases and merges: what is merged in is overridden by what the consumer says itself', () => {
  const text = [
    'consumers:',
    '  a: &base { url: "http://127.0.0.1:91", drain: 7s }',
    '  b: { <<: *base, url: "http://127.0.0.1:92" }',
  ].join('\n');
  const loaded = load(text);
  assert.equal(consumerOf(loaded, 'b').url, 'http://127.0.0.1:92');
  assert.equal(consumerOf(loaded, 'b').drainMs, 7_000);
  const origin = loaded.origins.find(({ keyPath }) => keyPath === 'consumers.b.drain')?.origin;
  assert.deepEqual(origin, { from: 'file', line: 2, column: 49 });
});

test('the order of keys does not matter', () => {
  const lines = [
    'policy: passthrough',
    'queue: { max: 7 }',
    'consumers: { a: { kind: ollama }, b: { url: "http://b" } }',
  ];
  const permutations = fc.shuffledSubarray(lines, { minLength: lines.length });
  const expected = load(lines.join('\n')).configuration;
  fc.assert(fc.property(permutations, (order) => assert.deepEqual(load(order.join('\n')).configuration, expected)));
  const keys = ['kind: ollama', 'class: batch', 'drain: 7s', 'headers: { X-A: b }'];
  const consumer = (order: readonly string[]) => load(`consumers: { a: { ${order.join(', ')} } }`).configuration;
  fc.assert(
    fc.property(fc.shuffledSubarray(keys, { minLength: keys.length }), (order) =>
      assert.deepEqual(consumer(order), consumer(keys)),
    ),
  );
});

test('every value tells where it came from', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the file's own syntax
  const text = 'consumers:\n  o:\n    kind: ollama\n    parallel: ${HOW_MANY}\n';
  const { origins } = load(text, { ...HOME, HOW_MANY: '2' });
  const shown = (keyPath: string) => origins.find((value) => value.keyPath === keyPath);
  assert.deepEqual(shown('consumers.o.kind'), {
    keyPath: 'consumers.o.kind',
    text: 'ollama',
    origin: { from: 'file', line: 3, column: 11 },
  });
  assert.deepEqual(shown('consumers.o.parallel'), {
    keyPath: 'consumers.o.parallel',
    text: '2',
    origin: { from: 'environment', line: 4, column: 15, variables: ['HOW_MANY'] },
  });
  assert.deepEqual(shown('consumers.o.drain')?.origin, { from: 'kind', kind: 'ollama' });
  assert.deepEqual(shown('queue.timeout.batch'), {
    keyPath: 'queue.timeout.batch',
    text: '6h',
    origin: { from: 'default' },
  });
  assert.equal(shown('consumers.o.vram_run_mib')?.text, 'learned');
});

test('keys without effect under the policy are warned of, with their place', () => {
  const text = [
    'gpu: { reserve_mib: 100 }',
    'consumers:',
    '  a:',
    '    url: http://a',
    '    unit: a.service',
    '    can_coexist_with: [b]',
    '    pin: true',
    '    parallel: 2',
    '    models: { m: { vram_run_mib: 5, class: batch } }',
    '    timeouts: { load: 1m, run: 1m }',
    '  b: { url: http://b, pin: false, can_coexist_with: [], parallel: 1, unload: POST /u }',
    'policy: locked',
  ].join('\n');
  assert.deepEqual(
    load(text).warnings.map(({ line, column, keyPath }) => `${line}:${column} ${keyPath}`),
    [
      '1:8 gpu.reserve_mib',
      '5:5 consumers.a.unit',
      '6:5 consumers.a.can_coexist_with',
      '7:5 consumers.a.pin',
      '8:5 consumers.a.parallel',
      '9:20 consumers.a.models.m.vram_run_mib',
      '10:17 consumers.a.timeouts.load',
      '11:70 consumers.b.unload',
    ],
  );
  const [first] = load('policy: passthrough\nconsumers: { a: { url: "http://a", parallel: 2 } }').warnings;
  assert.match(first?.message ?? '', /no effect: policy passthrough runs every job at once/);
  const roomy = load('consumers: { a: { url: "http://a" }, b: { url: "http://b:81", unit: b.service } }').warnings;
  assert.deepEqual(
    roomy.map(({ keyPath, message }) => [keyPath, message.slice(0, 17)]),
    [['consumers.a', 'cannot be evicted']],
  );
});

test('a file without any consumer is good, with a warning', () => {
  const { warnings } = load('consumers: {}');
  assert.match(warnings[0]?.message ?? '', /no consumers/);
});

test('state_dir: the XDG folder, a relative one in the environment is ignored, ~ is the home folder', () => {
  const folder = (text: string, env: NodeJS.ProcessEnv) => load(text + SMALLEST, env).configuration.stateDir;
  assert.equal(folder('', { ...HOME, XDG_STATE_HOME: '/x' }), '/x/mgpumanager');
  assert.equal(folder('', { ...HOME, XDG_STATE_HOME: 'x' }), '/home/somebody/.local/state/mgpumanager');
  assert.equal(folder('state_dir: ~/mine\n', HOME), '/home/somebody/mine');
});

test('an alias is a consumer, or a model of one; an unknown consumer is told with the nearest name', () => {
  const { configuration } = load(
    'consumers: { ollama: { kind: ollama } }\naliases: { gpt: ollama/qwen3:8b, any: ollama }',
  );
  assert.deepEqual(
    [...configuration.aliases],
    [
      ['gpt', { consumer: 'ollama', model: 'qwen3:8b' }],
      ['any', { consumer: 'ollama', model: null }],
    ],
  );
});

test('speech of a service of its own is asked for at paths.tts unless it says otherwise', () => {
  const text = 'consumers: { m: { url: "http://gpu:1", paths: { tts: /tts }, speech: { text: text, audio: audio } } }';
  assert.deepEqual(consumerOf(load(text), 'm').speech, {
    ...{ path: '/tts', textMember: 'text', voiceMember: 'voice', audioMember: 'audio', wavOnly: true },
  });
});
