/** An unload counts when the card shows it, whatever the service says: late, lying, gone before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberAt, valueAt } from '../support/json-value.js';
import { openRoom, ROOM_TEST } from '../support/room.js';

test(
  'a yes to the unload is no memory: the next is contacted when the card shows room, nobody else leaves',
  ROOM_TEST,
  async (t) => {
    const room = await openRoom(t, {
      totalMib: 24_000,
      services: {
        image: {
          residentMib: 12_000,
          runMib: 100,
          contextMib: 600,
          manner: () => ({ lateMs: 700 }),
          says: { timeouts: { unload: '20s' } },
        },
        stt: { residentMib: 4_000, runMib: 100 },
        llm: { residentMib: 14_000, runMib: 100 },
      },
    });
    assert.equal((await room.post('image')).status, 200);
    assert.equal((await room.post('stt')).status, 200);
    const askedBefore = room.card.timesAsked;
    const forLlm = room.post('llm');
    await room.service('image').until(() => room.service('image').seen.some(({ path }) => path === '/unload'), 60_000);
    const { status } = await forLlm;
    assert.equal(status, 200);
    assert.equal(room.card.refusals.length, 0, 'it was contacted when there was room');
    assert.ok(room.service('stt').isLoaded(), 'waiting was enough');
    assert.ok(room.card.timesAsked > askedBefore + 1, 'the card was asked again and again');
    assert.equal(
      numberAt(await room.status(), 'consumers', 'image', 'gpu_resident_mib'),
      600,
      'its context counts as used',
    );
  },
);

test(
  'a wait for memory that never comes is bounded: 503 with the figures, and the lock is free',
  ROOM_TEST,
  async (t) => {
    const room = await openRoom(t, {
      totalMib: 24_000,
      services: {
        image: { residentMib: 14_000, runMib: 100, manner: () => 'lies', says: { timeouts: { unload: '300ms' } } },
        llm: { residentMib: 14_000, runMib: 100 },
        stt: { residentMib: 2_000, runMib: 100 },
      },
      settings: { queue: { no_room: '500ms' } },
      loaded: ['image'],
    });
    const refused = await room.post('llm');
    assert.equal(refused.status, 503);
    const { error } = JSON.parse(refused.text);
    assert.equal(error.code, 'evict_failed');
    assert.match(
      error.message,
      /llm needs 14100 MiB, 9500 MiB could be had within 1 s; held by image \(stuck\) 14000 MiB/,
    );
    assert.equal((await room.post('stt')).status, 200);
    assert.equal(room.card.refusals.length, 0);
  },
);

test('a stuck one is shown, counted as occupied, and healed once it gives its memory back', ROOM_TEST, async (t) => {
  let lies = true;
  const room = await openRoom(t, {
    totalMib: 24_000,
    services: {
      image: {
        residentMib: 14_000,
        runMib: 100,
        manner: () => (lies ? 'lies' : 'good'),
        says: { timeouts: { unload: '200ms' } },
      },
      llm: { residentMib: 14_000, runMib: 100 },
    },
    settings: { queue: { no_room: '60s' } },
    loaded: ['image'],
  });
  const forLlm = room.post('llm');
  await room.untilResidency('image', 'stuck');
  assert.equal(valueAt(await room.status(), 'consumers', 'image', 'loaded'), true);
  lies = false;
  assert.equal((await forLlm).status, 200);
  assert.deepEqual(room.moves.filter((move) => move.startsWith('image')).slice(-3), [
    'image evicting>stuck',
    'image stuck>evicting',
    'image evicting>absent',
  ]);
  assert.equal(room.card.refusals.length, 0);
});

test('memory that was back before the unload is seen at once, not waited for', ROOM_TEST, async (t) => {
  const room = await openRoom(t, {
    totalMib: 24_000,
    // No regular sample comes in time to see it.
    gpu: { interval: '10m' },
    services: {
      image: { residentMib: 14_000, runMib: 100, says: { timeouts: { unload: '60s' } } },
      llm: { residentMib: 14_000, runMib: 100 },
    },
  });
  assert.equal((await room.post('image')).status, 200);
  await room.service('image').leave();
  const startedAt = performance.now();
  assert.equal((await room.post('llm')).status, 200);
  assert.ok(performance.now() - startedAt < 30_000);
  assert.equal(room.card.refusals.length, 0);
});

test(
  'without a list of processes the card’s free memory decides, and a late one is still waited for',
  ROOM_TEST,
  async (t) => {
    const room = await openRoom(t, {
      totalMib: 24_000,
      services: {
        image: { residentMib: 14_000, runMib: 100, contextMib: 600, manner: () => ({ lateMs: 500 }) },
        llm: { residentMib: 14_000, runMib: 100 },
      },
      prepare: (card) => card.speak('numbers', { listsProcesses: false }),
    });
    for (const name of ['image', 'llm', 'image']) assert.equal((await room.post(name)).status, 200, name);
    assert.equal(room.card.refusals.length, 0);
  },
);
