/** What an operator does with a target, over HTTP: the answer comes when it is done, or says why not. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { valueAt } from '../support/json-value.js';
import { openRoom, ROOM_TEST, type Room } from '../support/room.js';

const services = {
  a: { residentMib: 14_000, runMib: 100, says: { load: 'POST /load' } },
  b: { residentMib: 14_000, runMib: 100 },
};
const message = async (room: Room, action: string, target: string): Promise<[number, unknown]> => {
  const { status, text } = await room.act(action, target);
  const body: unknown = JSON.parse(text);
  return [status, valueAt(body, 'message') ?? valueAt(body, 'error', 'code')];
};

test('load makes room and loads; evict takes the memory back; both say when it is so', ROOM_TEST, async (t) => {
  const room = await openRoom(t, { totalMib: 24_000, services, loaded: ['b'] });
  assert.deepEqual(await message(room, 'load', 'a'), [200, 'a is in VRAM']);
  assert.deepEqual([room.service('a').isLoaded(), room.service('b').isLoaded()], [true, false]);
  const [status, told] = await message(room, 'evict', 'a');
  assert.equal(status, 200);
  assert.match(String(told), /^a left the card: 14000 MiB are free again$/);
  assert.equal(room.service('a').isLoaded(), false);
  assert.deepEqual(await message(room, 'evict', 'a'), [200, 'a is not in VRAM (absent)']);
  assert.equal(room.card.refusals.length, 0);
});

test('evict waits until the target is idle, and cuts nothing', ROOM_TEST, async (t) => {
  const room = await openRoom(t, { totalMib: 24_000, services: { ...services, a: { ...services.a, runMs: 50 } } });
  const stream = room.post('a', '/stream?events=10');
  await room.service('a').until(() => room.service('a').work.length > 0, 60_000);
  const evicted = await room.act('evict', 'a');
  assert.equal(evicted.status, 200);
  const { text } = await stream;
  assert.equal(text.match(/data/g)?.length, 10);
});

test('a pinned one is never evicted for others, until it is unpinned', ROOM_TEST, async (t) => {
  const room = await openRoom(t, { totalMib: 24_000, services });
  assert.equal((await room.post('a')).status, 200);
  assert.deepEqual(await message(room, 'pin', 'a'), [200, 'a is pinned: the broker never evicts it']);
  assert.equal(valueAt(await room.status(), 'consumers', 'a', 'pinned'), true);
  const refused = await room.post('b');
  assert.deepEqual([refused.status, valueAt(JSON.parse(refused.text), 'error', 'code')], [503, 'does_not_fit']);
  assert.match(String(valueAt(JSON.parse(refused.text), 'error', 'message')), /a \(pinned\) 14000 MiB/);
  assert.ok(room.service('a').isLoaded());
  assert.equal((await message(room, 'unpin', 'a'))[0], 200);
  assert.equal((await room.post('b')).status, 200);
});

test('forget drops what was learned, and the declaration counts again', ROOM_TEST, async (t) => {
  const room = await openRoom(t, {
    totalMib: 24_000,
    services: { a: { residentMib: 14_000, runMib: 100, says: { vram_resident_mib: 3_000 } } },
  });
  assert.equal((await room.post('a')).status, 200);
  const file = join(room.broker.folder, 'state', 'memory.json');
  const learned = (): unknown =>
    existsSync(file) ? valueAt(JSON.parse(readFileSync(file, 'utf8')), 'targets', 'a', 'resident', 'mib') : undefined;
  const isLearned = (): boolean => learned() === 14_000;
  while (!isLearned()) await room.broker.until((fact) => fact.type === 'gpu', isLearned);
  await room.act('evict', 'a');
  assert.equal(learned(), 14_000);
  assert.equal((await message(room, 'forget', 'a'))[0], 200);
  assert.equal(learned(), undefined);
});

test('actions on nobody, and loads that cannot be asked for, are refused with a reason', ROOM_TEST, async (t) => {
  const room = await openRoom(t, { totalMib: 24_000, services });
  assert.deepEqual(await message(room, 'load', 'nobody'), [404, 'unknown_consumer']);
  assert.deepEqual(await message(room, 'load', 'b'), [503, 'load_failed']);
  // Whoever cannot be loaded by a call loads by its job all the same.
  assert.equal((await room.post('b')).status, 200);
});
