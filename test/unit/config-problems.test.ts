/** Bad files: each says exactly what is wrong, at the line and column marked with ▸ in its text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblem } from '../../src/config/configuration.js';
import { parseConfiguration } from '../../src/config/load.js';
import { KIND_DEFAULTS } from '../support/kind-defaults.js';

const env = { HOME: '/home/somebody' };

function problemsOf(text: string) {
  const result = parseConfiguration(text, { env, kinds: KIND_DEFAULTS, name: 'bad.yaml' });
  return result.good ? [] : result.problems;
}

const OLLAMA = '\nconsumers: { ollama: { kind: ollama } }\n';
const http = (keys: string) => `consumers:\n  tts:\n    url: http://127.0.0.1:9103\n${keys}\n`;

/** [what is wrong, the file, its key path, a piece of the message] */
const BAD_FILES: readonly (readonly [string, string, string, RegExp])[] = [
  // the text itself
  ['an empty file', '▸', '', /the file is empty; the least is/],
  ['a list at the top', '▸- a\n', '', /not a map of keys and values/],
  ['a broken indentation', 'consumers:\n  a:\n    url: x\n▸   b: 1\n', '', /wrong indentation/],
  ['an open bracket', 'consumers: { ollama: { kind: ollama }\n▸', '', /a bracket that is not closed/],
  ['a tab as indentation', 'consumers:\n▸\tollama: { kind: ollama }\n', '', /a tab as indentation; use blanks/],
  ['a second document', `${OLLAMA}▸---\nbind: x\n`, '', /a second document begins here/],
  ['an unknown tag', `log: { level: ▸!loud info }${OLLAMA}`, '', /an unknown tag/],
  ['an alias without anchor', `log: ▸*nowhere${OLLAMA}`, 'log', /an alias whose anchor does not stand before it/],
  ['a doubled key', `queue:\n  max: 5\n  ▸max: 6${OLLAMA}`, 'queue.max', /given twice, first in line 2; keep one/],
  ['a doubled consumer', 'consumers:\n  a: { url: http://a }\n  ▸a: { url: http://b }\n', 'consumers.a', /given twice/],
  // the environment
  [
    'an unset variable',
    `bind: ▸\${NOT_SET_HERE}${OLLAMA}`,
    'bind',
    /NOT_SET_HERE is not set; set it, or give a default with \$\{NOT_SET_HERE:-default\}/,
  ],
  ['a broken reference', `bind: ▸\${NOT CLOSED${OLLAMA}`, 'bind', /a broken reference; write \$\{NAME\}/],
  // names of models
  [
    'an alias of nobody',
    `aliases: { gpt: ▸olama/qwen3 }${OLLAMA}`,
    'aliases.gpt',
    /there is no consumer of this name; did you mean "ollama"\?/,
  ],
  ['an alias without a consumer', `aliases: { gpt: ▸/qwen3 }${OLLAMA}`, 'aliases.gpt', /write CONSUMER or CONSUMER/],
  ['an alias that is no text', `aliases: { gpt: ▸7 }${OLLAMA}`, 'aliases.gpt', /not a model; write CONSUMER/],
  ['a manner of waiting', http('    waiting: ▸comments'), 'consumers.tts.waiting', /did you mean "comment"\?/],
  [
    'speech without a path',
    http('    ▸speech: { text: text }'),
    'consumers.tts.speech.path',
    /missing, there is no paths\.tts either; add the path/,
  ],
  // unknown keys
  ['an unknown key at the top', `▸polcy: locked${OLLAMA}`, 'polcy', /unknown key; did you mean "policy"\?/],
  [
    'an unknown key in a section',
    `gpu: { ▸headroom: 5 }${OLLAMA}`,
    'gpu.headroom',
    /unknown key; known here: source, /,
  ],
  ['an unknown key of a consumer', http('    ▸hedders: {}'), 'consumers.tts.hedders', /did you mean "headers"\?/],
  ['an unknown capability', `routes: { ▸video: ollama }${OLLAMA}`, 'routes.video', /known here: tts, stt, llm, image/],
  ['an unknown key in a model', http('    models: { a: { ▸pinn: true } }'), 'consumers.tts.models.a.pinn', /"pin"/],
  ['an unknown key in a call', http('    unload: { ▸comand: [x] }'), 'consumers.tts.unload.comand', /"command"/],
  // not yet
  ['front', http('    ▸front: 9000'), 'consumers.tts.front', /not yet: /],
  ['idle_unload', http('    ▸idle_unload: 5m'), 'consumers.tts.idle_unload', /not yet: /],
  ['access.keys_file', `access: { ▸keys_file: /k }${OLLAMA}`, 'access.keys_file', /not yet: /],
  ['policy swap-aware', `policy: ▸swap-aware${OLLAMA}`, 'policy', /not yet: .*write vram-lru/],
  ['gpu.source nvml', `gpu: { source: ▸nvml }${OLLAMA}`, 'gpu.source', /not yet: .*write auto or nvidia-smi/],
  // words
  ['an unknown policy', `policy: ▸loked${OLLAMA}`, 'policy', /did you mean "locked"\?/],
  ['an unknown kind', 'consumers:\n  a:\n    kind: ▸olama\n', 'consumers.a.kind', /did you mean "ollama"\?/],
  ['a word far from all', `log: { level: ▸loud }${OLLAMA}`, 'log.level', /known here: trace, debug, info, warn, error/],
  // names of consumers
  [
    'a route to nobody',
    `routes:\n  llm: ▸olama${OLLAMA}`,
    'routes.llm',
    /no consumer of this name; did you mean "ollama"/,
  ],
  [
    'an audio_proxy that is nobody',
    `audio_proxy: ▸mvoice${OLLAMA}`,
    'audio_proxy',
    /no consumer of this name; known here/,
  ],
  [
    'coexisting with nobody',
    http('    can_coexist_with: [▸sst]'),
    'consumers.tts.can_coexist_with[0]',
    /no consumer of/,
  ],
  [
    'coexisting with itself',
    http('    can_coexist_with: [▸tts]'),
    'consumers.tts.can_coexist_with[0]',
    /itself; remove/,
  ],
  ['a bad name', 'consumers:\n  ▸My TTS: { url: http://a }\n', 'consumers.My TTS', /not a name; write lower-case/],
  // what is missing
  ['no consumers', '▸log: { level: info }\n', 'consumers', /missing; add it/],
  ['consumers without value', 'consumers:▸\n', 'consumers', /has no value; give it one/],
  ['http without url', 'consumers:\n  ▸tts: { kind: http }\n', 'consumers.tts.url', /missing, .*add the address/],
  [
    'a route without path',
    'routes: { tts: a }\nconsumers:\n  ▸a: { url: http://a }\n',
    'consumers.a.paths.tts',
    /missing, routes.tts needs it; add the path/,
  ],
  [
    'a route without path beside other paths',
    'routes: { tts: a }\nconsumers:\n  a:\n    url: http://a\n    ▸paths: { stt: /x }\n',
    'consumers.a.paths.tts',
    /missing, routes.tts needs it/,
  ],
  ['a health check without path', http('    ▸health: { expect: 200 }'), 'consumers.tts.health.path', /missing; add it/],
  // addresses and ports
  ['a bare port', `bind: ▸8770${OLLAMA}`, 'bind', /not an address; write for instance 127.0.0.1:8770/],
  ['a port too large', `bind: ▸127.0.0.1:70000${OLLAMA}`, 'bind', /the port is not a number from 0 to 65535/],
  ['a bind host that is none', `bind: [▸"300.1.1.1:80"]${OLLAMA}`, 'bind[0]', /neither a name nor an address/],
  ['a bare IPv6 address', `bind: ▸"::1"${OLLAMA}`, 'bind', /without a port; write \[ADDRESS\]:8770/],
  ['a star as host', `bind: ▸"*:8770"${OLLAMA}`, 'bind', /write 0.0.0.0:PORT/],
  ['one address bound twice', `bind: ["127.0.0.1:1", ▸"localhost:1"]${OLLAMA}`, 'bind[1]', /already bind\[0\]/],
  [
    'one port for two consumers',
    'consumers:\n  a: { url: http://127.0.0.1:90 }\n  b: { url: ▸http://localhost:90/x }\n',
    'consumers.b.url',
    /the same address as consumers.a; give one of them another port/,
  ],
  [
    'the usual port of a kind taken twice',
    'consumers:\n  a: { kind: ollama }\n  ▸b: { kind: ollama }\n',
    'consumers.b.url',
    /the same address as consumers.a/,
  ],
  [
    'a consumer on our own port',
    'bind: 0.0.0.0:8770\nconsumers:\n  a:\n    url: ▸http://127.0.0.1:8770\n',
    'consumers.a.url',
    /our own address \(bind\)/,
  ],
  [
    'an address without scheme',
    'consumers: { a: { url: ▸localhost:90 } }\n',
    'consumers.a.url',
    /not an http:\/\/ addr/,
  ],
  ['https', 'consumers: { a: { url: ▸"https://a" } }\n', 'consumers.a.url', /https is not spoken/],
  ['a password in an address', 'consumers: { a: { url: ▸"http://u:p@a" } }\n', 'consumers.a.url', /into the headers/],
  ['a network that is none', `access: { allow: [▸192.168] }${OLLAMA}`, 'access.allow[0]', /not a network/],
  ['a prefix too long', `access:\n  operators:\n    - ▸10.0.0.0/33${OLLAMA}`, 'access.operators[0]', /from 0 to 32/],
  ['a host pattern that is none', `access: { hosts: [▸"a:80"] }${OLLAMA}`, 'access.hosts[0]', /without a port/],
  [
    'an origin with a path',
    `access: { origins: [▸"https://a.example.org/x"] }${OLLAMA}`,
    'access.origins[0]',
    /not the origin of a page; write for instance https/,
  ],
  // paths, calls, patterns
  ['a path without a slash', http('    paths: { tts: ▸speak }'), 'consumers.tts.paths.tts', /without a slash at its/],
  ['a health path without a slash', http('    health: ▸health'), 'consumers.tts.health', /without a slash/],
  ['a path with a blank', http('    health: ▸/a b'), 'consumers.tts.health', /percent-encode it/],
  ['a call without method', http('    unload: ▸/free'), 'consumers.tts.unload', /not METHOD \/path/],
  [
    'a call with a bad method',
    http('    load: { method: ▸PUSH, path: /x }'),
    'consumers.tts.load.method',
    /known here: /,
  ],
  ['an empty command', http('    unload: { command: ▸[] }'), 'consumers.tts.unload.command', /an empty command/],
  ['a pass that is none', http('    passes: [▸post /x]'), 'consumers.tts.passes[0]', /the method is not one of/],
  [
    'a bad regular expression',
    http('    processes: { cgroup: ▸"a(" }'),
    'consumers.tts.processes.cgroup',
    /unterminated/,
  ],
  [
    'an unknown way to find processes',
    http('    processes: { ▸pid: 5 }'),
    'consumers.tts.processes.pid',
    /unknown key/,
  ],
  ['a unit that is none', http('    unit: ▸comfyui'), 'consumers.tts.unit', /write for instance comfyui.service/],
  [
    'a unit that looks like an option',
    http('    unit: ▸--x.service'),
    'consumers.tts.unit',
    /not the name of a systemd/,
  ],
  ['a header of the connection', http('    headers: { ▸Host: a }'), 'consumers.tts.headers.Host', /set by the broker/],
  [
    'a header with a bad name',
    http('    headers: { ▸"a b": c }'),
    'consumers.tts.headers.a b',
    /not the name of a header/,
  ],
  ['a header that is a number', http('    headers: { X: ▸5 }'), 'consumers.tts.headers.X', /put the value in quotes/],
  ['a relative state_dir', `state_dir: ▸var/x${OLLAMA}`, 'state_dir', /not an absolute path/],
  // durations and numbers
  ['a bare number as duration', `gpu: { interval: ▸5 }${OLLAMA}`, 'gpu.interval', /say a duration such as 5s/],
  [
    'a duration with an unknown unit',
    `gpu: { interval: ▸5d }${OLLAMA}`,
    'gpu.interval',
    /such as 250ms, 5s, 10m or 1h/,
  ],
  ['a duration of nothing', `health: { timeout: ▸0s }${OLLAMA}`, 'health.timeout', /no time at all/],
  [
    'a duration too long',
    http('    timeouts: { run: ▸900h }'),
    'consumers.tts.timeouts.run',
    /the longest duration is 500h/,
  ],
  [
    'a queue timeout that is a number',
    `queue: { timeout: ▸9 }${OLLAMA}`,
    'queue.timeout',
    /such as 10m, 0 for ever, or/,
  ],
  [
    'a queue timeout by class that is a number',
    `queue: { timeout: { batch: ▸9 } }${OLLAMA}`,
    'queue.timeout.batch',
    /or 0 for ever/,
  ],
  ['a fraction', `queue: { max: ▸1.5 }${OLLAMA}`, 'queue.max', /not a whole number/],
  ['a number below its range', `queue: { max: ▸0 }${OLLAMA}`, 'queue.max', /too small; at least 1 jobs/],
  ['a size with a unit', http('    vram_resident_mib: ▸4GB'), 'consumers.tts.vram_resident_mib', /without a unit/],
  ['a card that is none', http('    cards: [▸-1]'), 'consumers.tts.cards[0]', /too small/],
  ['a word for a truth value', http('    pin: ▸yes'), 'consumers.tts.pin', /neither true nor false/],
  ['a map where a list belongs', http('    passes: ▸{ a: b }'), 'consumers.tts.passes', /not a list/],
];

for (const [what, marked, keyPath, message] of BAD_FILES) {
  test(`a bad file is refused at the right place: ${what}`, () => {
    const [before = '', after = ''] = marked.split('▸');
    const lines = before.split('\n');
    const problems = problemsOf(before + after);
    assert.equal(problems.length, 1, problems.map(formatProblem).join('\n'));
    const [problem] = problems;
    assert.deepEqual(
      { line: problem?.line, column: problem?.column, keyPath: problem?.keyPath },
      { line: lines.length, column: (lines.at(-1) ?? '').length + 1, keyPath },
    );
    assert.match(problem?.message ?? '', message);
  });
}

test('every problem of a file is said at once, in the order of the text', () => {
  const text = [
    'bind: 8770',
    'polcy: locked',
    'routes: { llm: olama }',
    'queue:',
    '  max: 5',
    '  max: 6',
    'access: { keys_file: /k, allow: [nowhere] }',
    'consumers:',
    '  ollama:',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the file's own syntax
    '    url: ${NOT_SET_HERE}',
    '    kind: ollama',
    '    timeouts: { run: 5 }',
    '  tts: { unload: { command: [5] }, pin: 1 }',
  ].join('\n');
  assert.deepEqual(
    problemsOf(text).map(({ line, column, keyPath }) => `${line}:${column} ${keyPath}`),
    [
      '1:7 bind',
      '2:1 polcy',
      '3:16 routes.llm',
      '6:3 queue.max',
      '7:11 access.keys_file',
      '7:34 access.allow[0]',
      '10:10 consumers.ollama.url',
      '12:22 consumers.ollama.timeouts.run',
      '13:3 consumers.tts.url',
      '13:30 consumers.tts.unload.command[0]',
      '13:41 consumers.tts.pin',
    ],
  );
});

test('a problem is written as FILE:LINE:COLUMN KEY.PATH: message', () => {
  const [problem] = problemsOf('consumers:\n  a: { kind: ollama, timeouts: { idle: 5 } }\n');
  assert.ok(problem);
  assert.equal(
    formatProblem(problem),
    'bad.yaml:2:40 consumers.a.timeouts.idle: not a duration; say a duration such as 5s',
  );
});

test('a fault behind an anchor is said once, where it stands, however often it is used', () => {
  const text = 'consumers:\n  a: { url: http://a, timeouts: &t { run: 5 } }\n  b: { url: http://b, timeouts: *t }\n';
  assert.deepEqual(
    problemsOf(text).map(({ line, column }) => [line, column]),
    [[2, 43]],
  );
});

test('a fault that was merged in with << is found in the map that it came from', () => {
  const text = [
    'consumers:',
    '  a: &base',
    '    url: http://127.0.0.1:91',
    '    drain: 7',
    '  b:',
    '    <<: *base',
    '    url: http://127.0.0.1:92',
  ].join('\n');
  assert.deepEqual(
    problemsOf(text).map(({ line, column, keyPath }) => [line, column, keyPath]),
    [[4, 12, 'consumers.a.drain']],
  );
});

test('two missing keys of one consumer are both said', () => {
  const problems = problemsOf('routes: { tts: a }\nconsumers: { a: {} }\n');
  assert.deepEqual(problems.map(({ keyPath }) => keyPath).sort(), ['consumers.a.paths.tts', 'consumers.a.url']);
});

test('a file whose aliases multiply it beyond measure is refused, not expanded', () => {
  const layers = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
  for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef'].map((pair) => pair.split(''))) {
    layers.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join(', ')}]`);
  }
  const [problem] = problemsOf(layers.join('\n'));
  assert.match(problem?.message ?? '', /aliases multiply this file/);
});
