import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type JsonPath, JsonWalk } from '../../src/server/json-walk.js';

const DEEPEST = 3;

/** `value`: what the parser makes of the bytes that the scalar is said to have; undefined for objects and lists. */
type Told = [path: JsonPath, text: string | null, value?: unknown];

function walked(text: string, pieceBytes: number, longestTextBytes = 10_000): { told: Told[]; state: string } {
  const told: Told[] = [];
  const bytes = Buffer.from(text);
  const walk = new JsonWalk({ deepest: DEEPEST, longestTextBytes }, (path, found, scalar) => {
    if (scalar === null) told.push([path, found]);
    else {
      const { start, end, value } = scalar;
      if (value !== undefined) assert.deepEqual(JSON.parse(bytes.toString('utf8', start, end)), value);
      told.push([path, found, value]);
    }
  });
  for (let at = 0; at < bytes.length; at += pieceBytes) walk.take(bytes.subarray(at, at + pieceBytes));
  return { told, state: walk.state };
}

/** What a walk must tell of a value, found by the language's own parser. */
function expected(value: unknown, above: JsonPath = []): Told[] {
  if (typeof value !== 'object' || value === null || above.length === DEEPEST) return [];
  const members: [string | number, unknown][] = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return members.flatMap(([name, member]): Told[] => {
    const path = [...above, name];
    if (typeof member === 'object' && member !== null) return [[path, null], ...expected(member, path)];
    return [[path, typeof member === 'string' ? member : null, member]];
  });
}

const jsons = fc.oneof(
  fc.jsonValue({ maxDepth: 5, stringUnit: 'binary' }).map((value) => [value]),
  fc.dictionary(fc.constantFrom('a', 'q\\', '"', ''), fc.jsonValue({ maxDepth: 5 })),
);

test('tells every value down to its depth as the parser finds them, however the text is cut', () => {
  fc.assert(
    fc.property(jsons, fc.integer({ min: 1, max: 9 }), fc.constantFrom(0, 2), (value, pieceBytes, indent) => {
      const text = JSON.stringify(value, null, indent);
      assert.deepEqual(walked(text, pieceBytes), { told: expected(JSON.parse(text)), state: 'whole' });
    }),
    { numRuns: 500 },
  );
});

test('a text that is too long is told as none, and does not hide what follows', () => {
  const { told } = walked('{"a":"12345678901","b":"1234567890"}', 4, 10);
  assert.deepEqual(told, [
    [['a'], null, undefined],
    [['b'], '1234567890', '1234567890'],
  ]);
});

test('what is cut or no JSON is never whole; what follows the end is not looked at', () => {
  for (const text of [
    '',
    '{"a":"b"',
    '{"a":[1,2}',
    'x {"a":1}',
    '"text"',
    '{"a" "b"}',
    '{"a" x}',
    '{1:2}',
    '{"a":1 2}',
    '{"a":1"b"}',
    '{"a":1{}}',
  ]) {
    assert.notEqual(walked(text, 3).state, 'whole', text);
  }
  assert.deepEqual(walked('{"a":"b"} {"c":"d"}', 3), { told: [[['a'], 'b', 'b']], state: 'whole' });
});
