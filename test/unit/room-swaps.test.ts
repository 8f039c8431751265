/** Room made for whoever comes, through the whole daemon: nobody is cut, nobody hangs, nobody runs out of memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textAt, valueAt } from '../support/json-value.js';
import { openRoom, ROOM_TEST, type Room } from '../support/room.js';

const spanOf = (room: Room, name: string, path: string, at = 0) => {
  const seen = room.service(name).seen.filter((one) => one.path === path)[at];
  assert.ok(seen !== undefined, `${name} was asked for ${path}`);
  return seen;
};
const timesAsked = (room: Room, name: string, path: string): number =>
  room.service(name).seen.filter((one) => one.path === path).length;

test(
  'a request for B waits for the end of the stream of A, then A leaves; two clients do not throw each other out',
  ROOM_TEST,
  async (t) => {
    const room = await openRoom(t, {
      totalMib: 24_000,
      services: {
        'llm-a': { residentMib: 14_000, runMib: 200, runMs: 40, says: { drain: '50ms' } },
        'llm-b': { residentMib: 14_000, runMib: 200 },
      },
      loaded: ['llm-a'],
    });
    const stream = room.post('llm-a', '/stream?events=20');
    await room.service('llm-a').until(() => room.service('llm-a').work.length > 0);
    const forB = room.post('llm-b');
    await room.broker.until((fact) => fact.type === 'job' && fact.change === 'queued' && fact.job.consumer === 'llm-b');
    const waiting = (await room.broker.status()).jobs.filter((job) => job.state === 'waiting');
    assert.deepEqual(
      waiting.map((job) => job.reason?.code),
      ['turn_busy'],
    );
    const againA = room.post('llm-a', '/run');

    const answer = await stream;
    assert.equal(answer.status, 200);
    assert.deepEqual(
      answer.text.match(/\d+/g)?.map(Number),
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    assert.deepEqual([(await forB).status, (await againA).status], [200, 200]);
    const [run] = [spanOf(room, 'llm-b', '/run')];
    assert.ok((spanOf(room, 'llm-a', '/stream').endedAtMs ?? Infinity) <= spanOf(room, 'llm-a', '/unload').startedAtMs);
    assert.ok((spanOf(room, 'llm-a', '/unload').endedAtMs ?? Infinity) < run.startedAtMs);
    assert.ok(timesAsked(room, 'llm-a', '/unload') <= 1, 'no ping-pong');
    assert.equal(room.card.refusals.length, 0);
  },
);

test('requests in the moment of an unload: none is forwarded into it, none hangs', ROOM_TEST, async (t) => {
  const room = await openRoom(t, {
    totalMib: 12_000,
    services: {
      a: { residentMib: 8_000, runMib: 100, unloadMs: 40, loadMs: 20, runMs: 2 },
      b: { residentMib: 8_000, runMib: 100, unloadMs: 40, loadMs: 20, runMs: 2 },
      tts: { residentMib: 1_000, runMib: 100, runMs: 2 },
    },
    // Nothing lasts longer: a request that is neither loading, busy nor unloading must not wait.
    settings: { queue: { timeout: '20s' } },
  });
  for (let round = 0; round < 6; round += 1) {
    const rest = round * 8;
    const first = room.post('a');
    await new Promise((resolve) => setTimeout(resolve, rest));
    const others = [room.post('b'), room.act('evict', 'a'), room.post('a'), room.post('tts')];
    const answers = await Promise.all([first, ...others]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 200, 200],
      JSON.stringify(answers),
    );
  }
  assert.deepEqual(
    ['a', 'b', 'tts'].map((name) => room.service(name).refused()),
    [0, 0, 0],
  );
  assert.equal(room.card.refusals.length, 0);
});

test(
  'an unload that is never answered is bounded, told, and the others go on meanwhile and afterwards',
  ROOM_TEST,
  async (t) => {
    const room = await openRoom(t, {
      totalMib: 12_000,
      services: {
        a: { residentMib: 8_000, runMib: 100, manner: () => 'hangs', says: { timeouts: { unload: '200ms' } } },
        b: { residentMib: 8_000, runMib: 100 },
        tts: { residentMib: 1_000, runMib: 100 },
      },
      settings: { queue: { no_room: '1s' } },
      loaded: ['a'],
    });
    const forB = room.post('b');
    await room.service('a').until(() => timesAsked(room, 'a', '/unload') === 1, 60_000);
    const beside = room.post('tts');
    const refused = await forB;
    assert.equal(refused.status, 503);
    const { error } = JSON.parse(refused.text);
    assert.equal(error.code, 'evict_failed');
    assert.match(error.message, /b needs \d+ MiB.*could be had within 1 s.*held by.*a \(stuck\)/);
    assert.equal((await beside).status, 200);
    assert.equal(textAt(await room.status(), 'consumers', 'a', 'residency'), 'stuck');
    assert.equal((await room.post('tts')).status, 200);
    assert.equal(room.service('a').refused(), 0);
  },
);

test('a crowd on a card half the size of all: everybody is served, nobody runs out of memory', ROOM_TEST, async (t) => {
  const room = await openRoom(t, { totalMib: 12_000, services: CROWD });
  const results = await crowd(room, 8, 3);
  assert.deepEqual(results, { 200: 24 });
  assert.equal(room.card.refusals.length, 0);
  const { queue_depth, in_flight, total_jobs } = (await room.broker.status()).scheduler;
  assert.deepEqual({ queue_depth, in_flight, total_jobs }, { queue_depth: 0, in_flight: 0, total_jobs: 24 });
  assert.ok(
    room.moves.filter((move) => move.endsWith('resident>evicting')).length >= 3,
    'they had to leave for each other',
  );
});

test('the same crowd under passthrough does run out of memory', ROOM_TEST, async (t) => {
  const room = await openRoom(t, { totalMib: 12_000, services: CROWD, settings: { policy: 'passthrough' } });
  const results = await crowd(room, 8, 3);
  assert.ok(room.card.refusals.length > 0);
  assert.ok((results[500] ?? 0) > 0, 'and clients see it');
});

/** 24,000 MiB in all. */
const CROWD = {
  stt: { residentMib: 3_000, runMib: 1_000, loadMs: 2, runMs: 2 },
  tts: { residentMib: 4_000, runMib: 1_000, loadMs: 2, runMs: 2 },
  image: { residentMib: 9_000, runMib: 2_000, contextMib: 600, loadMs: 5, runMs: 5 },
  llm: { residentMib: 8_000, runMib: 500, loadMs: 5, runMs: 5 },
};

/** Clients that post one job after another, each in an order of its own; answers by status. */
async function crowd(room: Room, clients: number, jobs: number): Promise<Record<number, number>> {
  const names = Object.keys(CROWD);
  const counts: Record<number, number> = {};
  const client = async (number: number): Promise<void> => {
    for (let job = 0; job < jobs; job += 1) {
      const name = names[(number + job * (1 + (number % 3))) % names.length] ?? '';
      const { status, text } = await room.post(name);
      counts[status] = (counts[status] ?? 0) + 1;
      if (status === 200) assert.equal(valueAt(JSON.parse(text), 'from'), name);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  return counts;
}
