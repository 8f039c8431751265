import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemberScanner } from '../../src/server/json-members.js';

function valuesIn(text: string, pieceBytes = 7): Record<string, unknown> {
  const scanner = new MemberScanner(['model', 'n']);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += pieceBytes) scanner.take(bytes.subarray(at, at + pieceBytes));
  return Object.fromEntries([...scanner.members].map(([name, { value }]) => [name, value]));
}

test('numbers and words are values, wherever the pieces end', () => {
  assert.deepEqual(valuesIn('{"n": 12.5, "x": [1, {"n": 2}], "model": "a"}', 1), { n: 12.5, model: 'a' });
  assert.deepEqual(valuesIn('{"n":true}'), { n: true });
});

test('a number without end is not collected, and what stands behind it is still found', () => {
  assert.deepEqual(valuesIn(`{"n":${'1'.repeat(100_000)},"model":"a"}`, 4096), { n: undefined, model: 'a' });
});
