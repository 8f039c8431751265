import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Configuration } from '../../src/config/configuration.js';
import { diffConfiguration } from '../../src/config/diff.js';
import { parseConfiguration } from '../../src/config/load.js';
import { KIND_DEFAULTS } from '../support/kind-defaults.js';

function configuration(text: string): Configuration {
  const result = parseConfiguration(text, { env: { HOME: '/h' }, kinds: KIND_DEFAULTS });
  assert.ok(result.good);
  return result.configuration;
}

const A = 'consumers:\n  a: { url: "http://a", processes: { cgroup: "^x$" } }\n';

test('the same file, read twice, is no change', () => {
  assert.deepEqual(diffConfiguration(configuration(A), { ...configuration(A), file: '/elsewhere' }), {
    changed: false,
    consumersAdded: [],
    consumersRemoved: [],
    consumersChanged: [],
    needsRestart: [],
  });
});

test('consumers that came, went and changed are told apart', () => {
  const before = configuration(`${A}  b: { kind: ollama }\n  c: { kind: comfyui }\n`);
  const after = configuration(`${A.replace('^x$', '^y$')}  c: { kind: comfyui }\n  d: { url: "http://d" }\n`);
  assert.deepEqual(diffConfiguration(before, after), {
    changed: true,
    consumersAdded: ['d'],
    consumersRemoved: ['b'],
    consumersChanged: ['a'],
    needsRestart: [],
  });
});

test('bind and state_dir need a restart, everything else does not', () => {
  const before = configuration(A);
  const restart = (text: string) => diffConfiguration(before, configuration(text)).needsRestart;
  assert.deepEqual(restart(`bind: 127.0.0.1:1\nstate_dir: /x\n${A}`), ['bind', 'state_dir']);
  assert.deepEqual(restart(`policy: passthrough\nlog: { level: debug }\nqueue: { max: 1 }\n${A}`), []);
  assert.equal(diffConfiguration(before, configuration(`log: { level: debug }\n${A}`)).changed, true);
});
