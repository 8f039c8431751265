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

const actions = fc.array(fc.record({ kind: fc.constantFrom(...kinds), pick: fc.nat(1000) }), {
  minLength: 20,
  maxLength: 150,
});

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

test('the same events at the same times give the same commands, byte for byte', () => {
  fc.assert(
    fc.property(actions, (list) => {
      assert.deepEqual(play('locked', list).journal, play('locked', list).journal);
    }),
    { numRuns: 50 },
  );
});
