import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransientMap } from '../../src/core/transient-map.js';

test('it holds what a Map holds, in the same order, however many have come and gone', () => {
  const map = new TransientMap<string, number>();
  const model = new Map<string, number>();
  for (let at = 0; at < 10_000; at += 1) {
    const key = `job ${at}`;
    map.set(key, at);
    model.set(key, at);
    // Every tenth stays for long, a few are said twice.
    const left = `job ${at - 64}`;
    if (at % 10 !== 0) assert.equal(map.delete(left), model.delete(left));
    if (at % 100 === 0) {
      map.set(key, -at);
      model.set(key, -at);
    }
    if (at % 777 !== 0) continue;
    assert.deepEqual([...map.keys()], [...model.keys()]);
    assert.deepEqual([...map.values()], [...model.values()]);
  }
  assert.equal(map.size, model.size);
  assert.equal(map.get('job 9990'), 9990);
  assert.equal(map.has('job 1'), false);
  assert.equal(map.delete('job 1'), false);
});

test('whoever iterates does not meet what is deleted meanwhile', () => {
  const map = new TransientMap<number, number>();
  for (let at = 0; at < 5000; at += 1) map.set(at, at);
  const met: number[] = [];
  for (const value of map.values()) {
    met.push(value);
    map.delete(value + 1);
  }
  assert.equal(met.length, 2500);
  assert.equal(map.size, 2500);
});
