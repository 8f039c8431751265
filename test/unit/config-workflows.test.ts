/** Workflow files: what is wrong in them is told with their own lines and columns, marked with ▸ here. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatProblem } from '../../src/config/configuration.js';
import { loadConfiguration, parseConfiguration } from '../../src/config/load.js';
import { filledIn, readWorkflow } from '../../src/config/workflow.js';
import { KIND_DEFAULTS } from '../support/kind-defaults.js';

const options = { env: { HOME: '/home/somebody' }, kinds: KIND_DEFAULTS };
const node = (inputs: string) => `{ "1": { "class_type": "X", "inputs": { ${inputs} } } }`;

/** [what is wrong, the file, node and input, a piece of the message] */
const BAD: readonly (readonly [string, string, string, RegExp])[] = [
  ['a broken bracket', '{\n  "1": {▸', '', /^not valid JSON; export it with Workflow > Export \(API\)/],
  ['a list', '▸[]', '', /must be a map of nodes/],
  ["the page's own format", '▸{"nodes": [], "links": []}', '', /the page's own format/],
  ['a node without a type', '{\n  ▸"1": { "inputs": {} }\n}', '1', /its class_type is missing/],
  ['a node without inputs', '{ ▸"1": { "class_type": "X" } }', '1', /its inputs are missing/],
  ['a link to nowhere', node('"a": "%prompt%",\n "model": ▸["9", 0]'), '1.inputs.model', /node 9, which is not here/],
  ['a misspelt place', node('"a": "%prompt%", "w": ▸"%witdh%"'), '', /unknown placeholder; did you mean %width%\?/],
  ['a foreign place', node('"a": "%prompt%", "w": ▸"%steps%"'), '', /known here: prompt, /],
  ['no place for the prompt', `▸${node('"a": "x"')}`, '', /^no %prompt% in it/],
];

for (const [name, marked, keyPath, message] of BAD) {
  test(`refused with its place: ${name}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mgpu-workflows-'));
    try {
      const before = marked.slice(0, marked.indexOf('▸')).split('\n');
      await writeFile(join(folder, 'one.json'), marked.replace('▸', ''));
      await writeFile(join(folder, 'c.yaml'), 'consumers: { c: { kind: comfyui, workflows: { one: one.json } } }');
      const result = await loadConfiguration(join(folder, 'c.yaml'), options);
      assert.ok(!result.good);
      const [problem] = result.problems;
      assert.ok(problem);
      assert.deepEqual(
        [problem.file, problem.line, problem.column, problem.keyPath],
        [join(folder, 'one.json'), before.length, (before.at(-1) ?? '').length + 1, keyPath],
        formatProblem(problem),
      );
      assert.match(problem.message, message);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

test('a file that cannot be read, and a kind without workflows: told at the line of the configuration', () => {
  const problems = (text: string) => {
    const result = parseConfiguration(text, options);
    return result.good ? [] : result.problems.map(({ line, column, message }) => `${line}:${column} ${message}`);
  };
  assert.match(
    problems('consumers:\n  c: { kind: comfyui, workflows: { a: /nowhere/a.json } }')[0] ?? '',
    /^2:39 the workflow cannot be read \(ENOENT\); write its path/,
  );
  assert.match(
    problems('consumers:\n  c: { kind: ollama, workflows: { a: x.json } }')[0] ?? '',
    /^2:22 only a consumer of kind comfyui has workflows/,
  );
  assert.match(
    problems('consumers:\n  c: { kind: comfyui, workflows: { a: { file: x.json, size: 100x100 } } }')[0] ?? '',
    /^2:61 not WIDTHxHEIGHT in multiples of 8/,
  );
});

test('what is filled in keeps everything else to the byte', () => {
  const text =
    '{\t"1":{"class_type":"X","inputs":{"a":"%prompt%\\u00e9 %seed% %other%","w":"%width%","n":1.50,"s":18446744073709551615}}}';
  const reading = readWorkflow(text);
  assert.ok(reading.good);
  assert.deepEqual(reading.placeholders, ['prompt', 'width', 'seed']);
  const size = { width: 8, height: 8 };
  const filled = filledIn(
    { text, size, ...reading },
    { prompt: '"%n%"', negative_prompt: '', width: 64, height: 8, n: 2, seed: 7 },
  );
  const expected = text
    .replace('"%prompt%\\u00e9 %seed% %other%"', JSON.stringify('"%n%"é 7 %other%'))
    .replace('"%width%"', '64');
  assert.equal(filled, expected);
});
