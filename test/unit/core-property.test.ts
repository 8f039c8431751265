import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { PolicyName } from '../../src/core/vocabulary.js';
import { type Action, CoreWorld } from '../support/core-world.js';

const kinds: readonly Action['kind'][] = [
  'announce',
  'announce',
  'announce',
  'arrive',
  'arrive',
  'leave',
  'end',
  'end',
  'end',
  'over',
  'again',
  'probe',
  'cancel',
  'config',
  'time',
];

/** Where room is made, most of what happens are answers. */
const roomKinds: readonly Action['kind'][] = [
  ...kinds,
  ...Array.from({ length: 14 }, () => 'answer' as const),
  'out_of_memory',
  'operator',
];

function actionsOf(list: readonly Action['kind'][], maxLength: number) {
  return fc.array(fc.record({ kind: fc.constantFrom(...list), pick: fc.nat(1000) }), { minLength: 20, maxLength });
}

const actions = actionsOf(kinds, 150);
const roomActions = actionsOf(roomKinds, 250);

function play(policy: PolicyName, list: readonly Action[]): CoreWorld {
  const world = new CoreWorld(policy);
  for (const action of list) world.act(action);
  world.settle();
  return world;
}

for (const policy of ['locked', 'passthrough'] as const) {
  test(`${policy}: 1,000 seeds, every job has one end, nobody overlaps who must not, nobody is left`, () => {
    fc.assert(
      fc.property(actions, (list) => {
        assert.deepEqual(play(policy, list).complaints, []);
      }),
      { numRuns: 1000 },
    );
  });
}

test('vram-lru: 500 seeds with answers in any order, late, or lies: one end each, one at a time, nobody is left', () => {
  fc.assert(
    fc.property(roomActions, (list) => {
      assert.deepEqual(play('vram-lru', list).complaints, []);
    }),
    { numRuns: 500 },
  );
});

test('the same events at the same times give the same commands, byte for byte', () => {
  fc.assert(
    fc.property(actions, (list) => {
      assert.deepEqual(play('locked', list).journal, play('locked', list).journal);
    }),
    { numRuns: 50 },
  );
  fc.assert(
    fc.property(roomActions, (list) => {
      assert.deepEqual(play('vram-lru', list).journal, play('vram-lru', list).journal);
    }),
    { numRuns: 50 },
  );
});
