/** Out of memory in spite of everything, and a card that says nothing or is not there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listAt, valueAt } from '../support/json-value.js';
import { openRoom, ROOM_TEST, type Room } from '../support/room.js';

const two = {
  a: { residentMib: 14_000, runMib: 100 },
  b: { residentMib: 14_000, runMib: 100 },
} as const;

test(
  'out of memory once: everybody else leaves, it is tried again, and the client sees only the good answer',
  ROOM_TEST,
  async (t) => {
    const room = await openRoom(t, {
      totalMib: 24_000,
      services: {
        // Making room takes longer than an answer is held that may yet prove harmless.
        small: { residentMib: 6_000, runMib: 100, unloadMs: 2_500 },
        // Nobody knows that a run of it takes nearly the whole card.
        hungry: { residentMib: 6_000, runMib: 16_000, runMs: 700, says: { vram_run_mib: 1_000 } },
      },
      loaded: ['small'],
    });
    const answer = await room.post('hungry');
    assert.deepEqual([answer.status, JSON.parse(answer.text)], [200, { from: 'hungry' }]);
    assert.equal(room.service('hungry').seen.filter(({ path }) => path === '/run').length, 2);
    assert.equal(room.facts.filter(({ type }) => type === 'out_of_memory').length, 1);
    assert.equal(room.service('small').isLoaded(), false);
    // What was learned: the next time it needs no second try.
    assert.equal((await room.post('small')).status, 200);
    assert.equal((await room.post('hungry')).status, 200);
    assert.equal(room.card.refusals.length, 1);
  },
);

test('out of memory also alone on the card: 503 with a code, and the lock is free', ROOM_TEST, async (t) => {
  const room = await openRoom(t, {
    totalMib: 24_000,
    services: { hungry: { residentMib: 6_000, runMib: 100 }, ...two },
  });
  room.service('hungry').fault = 'out-of-memory';
  const answer = await room.post('hungry');
  assert.equal(answer.status, 503);
  const { error } = JSON.parse(answer.text);
  assert.equal(error.code, 'gpu_out_of_memory');
  assert.match(
    error.message,
    /hungry ran out of GPU memory, also when it was tried again with everybody else evicted: .*CUDA out of memory/,
  );
  assert.equal((await room.post('a')).status, 200);
});

test('words for numbers: utilization unknown and memory still measured', ROOM_TEST, async (t) => {
  const room = await openRoom(t, { totalMib: 24_000, services: two, prepare: (card) => card.speak('no-utilization') });
  await inTurn(room);
  await room.broker.until((fact) => fact.type === 'gpu' && fact.reading?.cards[0]?.usedMib === 14_000);
  const [card] = listAt(await room.status(), 'gpu', 'cards');
  assert.deepEqual([valueAt(card, 'utilization_pct'), valueAt(card, 'used_mib')], [null, 14_000]);
});

for (const words of ['no-memory', 'no-figures'] as const) {
  test(
    `${words}: the declared figures decide, unknown is null, and measured figures come back by themselves`,
    ROOM_TEST,
    async (t) => {
      const room = await openRoom(t, {
        totalMib: 24_000,
        services: two,
        gpu: { total_mib: 24_000 },
        prepare: (card) => card.speak(words, { listsProcesses: false }),
      });
      await inTurn(room);
      await room.untilResidency('b', 'resident');
      assert.equal(room.service('a').seen.filter(({ path }) => path === '/unload').length, 1);
      const status = await room.status();
      const [card] = listAt(status, 'gpu', 'cards');
      assert.deepEqual([valueAt(card, 'used_mib'), valueAt(card, 'free_mib')], [null, null]);
      assert.equal(valueAt(status, 'consumers', 'b', 'gpu_resident_source'), 'declared');
      assert.equal(
        room.service('b').seen.filter(({ path }) => path === '/unload').length,
        0,
        'nobody is unloaded for nothing',
      );
      room.card.speak('numbers', { listsProcesses: true });
      await room.broker.until((fact) => fact.type === 'gpu' && fact.reading?.cards[0]?.usedMib === 14_000);
      await room.broker.until((fact) => fact.type === 'gpu' && fact.error === null);
      assert.equal(valueAt(await room.status(), 'consumers', 'b', 'gpu_resident_source'), 'measured');
    },
  );
}

test('no nvidia-smi at all: room is made from gpu.total_mib and what is declared', ROOM_TEST, async (t) => {
  const room = await openRoom(t, {
    totalMib: 24_000,
    services: two,
    gpu: { total_mib: 24_000 },
    prepare: (card) => card.removeTool(),
  });
  await inTurn(room);
  assert.equal(room.service('a').isLoaded(), false);
});

/** `a`, then `b`, which do not fit together. */
async function inTurn(room: Room): Promise<void> {
  for (const name of ['a', 'b']) assert.equal((await room.post(name)).status, 200, name);
  assert.equal(room.card.refusals.length, 0);
}
