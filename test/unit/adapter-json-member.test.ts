import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BodySource } from '../../src/adapters/adapter.js';
import { topLevelString } from '../../src/adapters/json-member.js';
import { bodyOf } from '../support/body-source.js';

const spaces = fc.constantFrom('', ' ', '\n\t');
const names = fc.constantFrom('model', 'Model', 'MODEL', 'models', 'mo\\del', '"', 'a', '');
const values = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.jsonValue({ maxDepth: 3 }));

/** Objects with equal names in them, as `JSON.stringify` never writes them. */
const objects = fc.array(fc.tuple(names, values, spaces), { maxLength: 8 }).map((members) => {
  const text = members.map(
    ([name, value, space]) => `${space}${JSON.stringify(name)}:${space}${JSON.stringify(value)}`,
  );
  const last = members.filter(([name]) => name.toLowerCase() === 'model').at(-1)?.[1];
  return { text: `{${text.join(',')}}`, expected: typeof last === 'string' ? last : null };
});

test('the last string member wins, however the body is cut; one that is no string hides it', async () => {
  await fc.assert(
    fc.asyncProperty(objects, fc.integer({ min: 1, max: 9 }), async ({ text, expected }, pieceBytes) => {
      assert.equal(await topLevelString(bodyOf(text, pieceBytes), 'model'), expected, text);
    }),
    { numRuns: 1500 },
  );
});

test('any JSON that is no object has no members', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      const text = JSON.stringify([value]);
      assert.equal(await topLevelString(bodyOf(text, 7), 'model'), null, text);
    }),
    { numRuns: 300 },
  );
});

test('an escaped name is the name; its case does not matter, as in Go', async () => {
  assert.equal(await topLevelString(bodyOf('{"m\\u006fdel":"qwen3:8b"}'), 'model'), 'qwen3:8b');
  assert.equal(await topLevelString(bodyOf('{"model":"a","MODEL":"b"}'), 'model'), 'b');
});

test('what is no whole object names nothing', async () => {
  for (const text of [
    '{"model":"a"',
    'x {"model":"a"}',
    '{"model" "a"}',
    '{"a" x, "model":"b"}',
    '{"model":"a"]',
    '',
  ]) {
    assert.equal(await topLevelString(bodyOf(text, 3), 'model'), null, text);
  }
});

test('only the first value counts, as for a decoder that reads one', async () => {
  assert.equal(await topLevelString(bodyOf('{"model":"a"} {"model":"b"}', 4), 'model'), 'a');
});

test('64 MiB of text before it are passed over', async () => {
  const text = `{"images":["${'A\\"'.repeat(21 * 1024 * 1024)}"],"model":"last"}`;
  assert.equal(await topLevelString(bodyOf(text, 65_536), 'model'), 'last');
});

test('a name without end is given up, not collected', async () => {
  assert.equal(await topLevelString(bodyOf(`{"model":"${'x'.repeat(5000)}"}`, 100), 'model'), null);
});

test('a number without end, in the place of a name, is not collected either', async () => {
  const body: BodySource = {
    sizeBytes: 0,
    async *read() {
      yield Buffer.from('{"model":');
      for (let count = 0; count < 256; count += 1) yield Buffer.alloc(65_536, '1');
      yield Buffer.from('}');
    },
  };
  const before = process.memoryUsage().heapUsed;
  assert.equal(await topLevelString(body, 'model'), null);
  assert.ok(process.memoryUsage().heapUsed - before < 64 * 1024 * 1024);
});
