import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { topLevelString } from '../../src/adapters/json-member.js';
import { bodyOf } from '../support/body-source.js';

function expected(text: string): string | null {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !('model' in value)) return null;
  return typeof value.model === 'string' ? value.model : null;
}

test('finds what JSON.parse finds, however the body is cut', async () => {
  const json = fc.oneof(
    fc.json(),
    fc
      .record({ a: fc.jsonValue(), model: fc.string({ unit: 'binary', maxLength: 40 }), z: fc.jsonValue() })
      .map((value) => JSON.stringify(value)),
    fc
      .dictionary(fc.constantFrom('model', 'Model', 'mo\\del', '"', 'a'), fc.oneof(fc.string(), fc.jsonValue()))
      .map((value) => JSON.stringify(value, null, 2)),
  );
  await fc.assert(
    fc.asyncProperty(json, fc.integer({ min: 1, max: 9 }), async (text, pieceBytes) => {
      // A member that is no string hides an earlier one for JSON.parse; two `model` members are no case for it here.
      assert.equal(await topLevelString(bodyOf(text, pieceBytes), 'model'), expected(text), text);
    }),
    { numRuns: 2000 },
  );
});

test('the last of equal names wins, an escaped name is the name', async () => {
  assert.equal(await topLevelString(bodyOf('{"model":"a","model":"b"}'), 'model'), 'b');
  assert.equal(await topLevelString(bodyOf('{"m\\u006fdel":"qwen3:8b"}'), 'model'), 'qwen3:8b');
});

test('64 MiB of text before it are passed over', async () => {
  const text = `{"images":["${'A\\"'.repeat(21 * 1024 * 1024)}"],"model":"last"}`;
  assert.equal(await topLevelString(bodyOf(text, 65_536), 'model'), 'last');
});

test('a name without end is given up, not collected', async () => {
  assert.equal(await topLevelString(bodyOf(`{"model":"${'x'.repeat(5000)}"}`, 100), 'model'), null);
});
