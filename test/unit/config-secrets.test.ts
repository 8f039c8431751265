/** No secret of the configuration comes out again: not in problems, warnings or the explanation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseConfiguration } from '../../src/config/load.js';
import { isSecretPath } from '../../src/config/secrets.js';
import { KIND_DEFAULTS } from '../support/kind-defaults.js';

/** Everything that anybody could print of a result, except the configuration itself, which must hold the secret. */
function sayable(text: string, env: NodeJS.ProcessEnv = {}): string {
  const result = parseConfiguration(text, { env: { HOME: '/h', ...env }, kinds: KIND_DEFAULTS });
  return JSON.stringify(result.good ? [result.warnings, result.origins] : result.problems);
}

/** Long enough not to be part of our own words by chance, with all that can upset YAML. */
const secret = fc
  .tuple(fc.constantFrom('S3cr3t', '5', '"', "'", '{', '*', '&', '- ', '#', ': '), fc.stringMatching(/^[A-Z0-9]{12}$/))
  .map(([lead, tail]) => ({ raw: `${lead}${tail}`, needle: tail }));

/** Where a secret can stand; the first group is good, the others are refused for one reason or another. */
const PLACES: readonly ((value: string) => string)[] = [
  (value) => `consumers: { a: { url: "http://a", headers: { Authorization: ${value} } } }`,
  (value) => `consumers: { a: { url: "http://a", unload: { path: /u, headers: { X-Key: ${value} } } } }`,
  (value) => `consumers: { a: { url: "http://a", unload: { path: /u, body: { deep: [{ api_key: ${value} }] } } } }`,
  (value) => `consumers: { a: { url: "http://a", load: { path: /u, body: { password: ${value} } } } }`,
  (value) => `consumers:\n  a:\n    url: http://a\n    headers:\n      Authorization: ${value}\n`,
  (value) => `consumers: { a: { url: "http://a", headers: ${value} } }`,
  (value) => `consumers: { a: { url: "http://a", headers: { X: { y: ${value} } } } }`,
  (value) => `consumers: { a: { url: "http://a", api_key: ${value} } }`,
  (value) => `consumers: { a: { url: "http://a", kind: nothing, headers: { "b d": ${value} } } }`,
  (value) => `token: ${value}\nconsumers: {}`,
  (value) => `consumers: { a: { headers: { X: ${value}, X: ${value} } }\n`,
  (value) => `consumers: { a: { headers: { X: "quoted" ${value} } } }`,
  (value) => `consumers:\n  a:\n    headers:\n      X: "quoted" ${value}\n`,
  (value) => `consumers:\n  a:\n    headers:\n      X: ]${value}\n`,
];

test('no value of headers, or of a key that ends in key, token, secret, password, is ever said', () => {
  fc.assert(
    fc.property(secret, fc.constantFrom(...PLACES), fc.boolean(), ({ raw, needle }, place, quoted) => {
      const text = place(quoted ? JSON.stringify(raw) : raw);
      assert.ok(!sayable(text).includes(needle), text);
    }),
    { numRuns: 1_000 },
  );
});

test('a secret from the environment is not said either, wherever it is used', () => {
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: the file's own syntax
  const uses = [
    'consumers: { a: { url: "http://a", headers: { A: "Bearer ${IT}" } } }',
    'consumers: { a: { url: "http://a/${MY_TOKEN}" } }',
    'consumers: { a: { url: "http://u:${MY_TOKEN}@a" } }',
    'bind: "${MY_TOKEN}"\nconsumers: {}',
    'policy: "${MY_TOKEN}"\nconsumers: {}',
    'consumers: { a: { url: "http://a", processes: { name: "(${MY_TOKEN}" } } }',
  ];
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: the file's own syntax
  for (const text of uses) {
    const said = sayable(text, { IT: 'XSECRETX', MY_TOKEN: 'XSECRETX' });
    assert.ok(!said.includes('XSECRETX'), `${text} says ${said}`);
  }
});

test('the name of a header, and a consumer with a secret-looking name, can be seen', () => {
  const said = sayable('consumers: { monkey: { url: "http://banana", headers: { X-Who: hidden-value } } }');
  assert.match(said, /consumers\.monkey\.headers\.X-Who","text":"\(hidden\)"/);
  assert.match(said, /http:\/\/banana/);
  assert.equal(isSecretPath(['consumers', 'a', 'headers']), false);
});
