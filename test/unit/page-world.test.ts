import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asked } from '../../dashboard/src/data/consequence.js';
import { readHappening } from '../../dashboard/src/data/happening.js';
import { sentenceOf } from '../../dashboard/src/data/sentence.js';
import { readStatus } from '../../dashboard/src/data/wire.js';
import { inGib, span, withoutIds } from '../../dashboard/src/data/words.js';
import { World } from '../../dashboard/src/data/world.js';
import { blocksOf, sum } from '../../dashboard/src/parts/blocks.js';
import { lifeOf } from '../../dashboard/src/parts/life.js';
import { lanesOf } from '../../dashboard/src/timeline/lanes.js';
import { queueSeriesOf } from '../../dashboard/src/timeline/series.js';
import * as scenes from '../support/page-scenes.js';
import { iso } from '../support/page-story.js';

type Told = ReturnType<typeof scenes.calm>;

function worldOf(told: Told): World {
  const world = new World();
  world.contact = { kind: 'live' };
  world.takeStatus(readStatus(told.status), []);
  const records = told.history.flatMap((line) => readHappening(line.event, line) ?? []);
  const from = records[0]?.at ?? 0;
  world.takeStretch({ from, to: world.now(), truncated: false, before: [], records });
  return world;
}

const ended = (id: string, at: number) =>
  readHappening('job', {
    at: iso(at),
    change: 'ended',
    job: scenes.job(id, { state: 'ended', end: 'done', queued_at: iso(at - 5000), granted_at: iso(at - 3000) }),
  });

test('a job that ended while a snapshot was on its way does not come back with it', () => {
  const now = Date.now();
  const world = worldOf(scenes.busy(now));
  const end = ended('j_run1k3v9x2m7q1t5w8zb', now);
  assert.ok(end);
  world.takeHappening(end);
  world.takeStatus(readStatus(scenes.busy(now).status), [end]);
  assert.equal(world.jobs.has('j_run1k3v9x2m7q1t5w8zb'), false);
  assert.equal(world.jobs.size, 3);
});

test('a snapshot of the first hundred keeps those that came later, and drops those that it should show', () => {
  const now = Date.now();
  const told = scenes.calm(now);
  const waiting = Array.from({ length: 150 }, (_, n) => scenes.job(`j_${n}`, { queued_at: iso(now - 10_000 + n) }));
  const world = new World();
  told.status.jobs = waiting.slice(0, 150);
  world.takeStatus(readStatus(told.status), []);
  told.status.jobs = waiting.slice(1, 101);
  told.status.jobs_omitted = 49;
  world.takeStatus(readStatus(told.status), []);
  assert.equal(world.jobs.has('j_0'), false);
  assert.equal(world.jobs.size, 149);
});

test('the sentence tells the worst first, and what to do', () => {
  const now = Date.now();
  const moods = [scenes.calm, scenes.busy, scenes.stuck, scenes.consumerDown].map((scene) =>
    sentenceOf(worldOf(scene(now))),
  );
  assert.deepEqual(
    moods.map(({ mood }) => mood),
    ['calm', 'busy', 'trouble', 'trouble'],
  );
  const [calm, busy, , down] = moods;
  assert.match(calm?.text ?? '', /nothing waits/);
  assert.equal(
    busy?.text,
    'ollama is answering with qwen3:8b. 3 jobs wait: comfyui waits until ollama/qwen3:8b has finished (about 14 s); whisper-server goes after comfyui (about 40 s); the request for mvoice is still arriving.',
  );
  assert.match(down?.text ?? '', /^mvoice does not answer on 127\.0\.0\.1:8766 since \d\d:\d\d \(connection refused/);
  assert.match(down?.text ?? '', /Look at its log, or start it\.$/);
});

test('the sentence says for each reason what must happen first, and who has to do it', () => {
  const now = Date.now();
  const said = (code: string, more: object = {}): string => {
    const told = scenes.calm(now);
    const reason = { code, text: '', waits_for: 'mvoice', ...more };
    told.status.jobs = [scenes.job('j_1', { consumer: 'comfyui', model: null, queued_at: iso(now), reason })];
    return sentenceOf(worldOf(told)).text.replace('Nothing runs. 1 job waits: ', '');
  };
  const room = { need_mib: 9800, free_mib: 960 };
  assert.equal(said('turn_busy'), 'comfyui waits until mvoice has finished.');
  assert.equal(said('behind'), 'comfyui goes after mvoice.');
  assert.equal(said('unverified', room), 'comfyui needs 8.6 GiB more, mvoice is giving its memory back.');
  assert.equal(said('no_room', room), 'comfyui needs 8.6 GiB more, held by mvoice.');
  assert.equal(said('load_queue'), 'comfyui waits while mvoice is loaded or unloaded.');
  assert.equal(said('load_queue', { waits_for: 'comfyui' }), 'comfyui is being loaded or unloaded.');
  assert.match(said('foreign_work', room), /mvoice works for somebody who did not come through here/);
  assert.equal(said('taking_in'), 'the request for comfyui is still arriving.');
  // A newer daemon's reason, and an older daemon's, are no riddle.
  assert.equal(said('eclipse', room), 'comfyui needs 8.6 GiB more.');
  assert.equal(said('turn_busy', { waits_for: null }), 'comfyui waits for its turn.');
});

test('a model that leaves takes its memory from its consumer at once, and the consumer shows its busiest one', () => {
  const world = worldOf(scenes.calm(Date.now()));
  const before = world.status?.consumers.ollama;
  const model = before?.models.find(({ residency }) => residency === 'resident');
  assert.ok(before && model);
  const move = (to: string) => {
    const told = readHappening('target', { at: iso(world.now()), target: `ollama/${model.name}`, from: '', to });
    assert.ok(told);
    world.takeHappening(told);
    return world.status?.consumers.ollama;
  };
  assert.equal(move('evicting')?.residency, 'evicting');
  const after = move('absent');
  assert.equal(after?.gpu_resident_mib, (before.gpu_resident_mib ?? 0) - (model.gpu_resident_mib ?? 0));
  assert.equal(after?.models.find(({ name }) => name === model.name)?.gpu_resident_mib, null);
  assert.equal(after?.residency, 'resident');
});

test("amounts in the daemon's words become GiB, and numbers of jobs give way to names", () => {
  const text = 'evicted for j_0123abc (comfyui), which needs 9,800 MiB where 960 MiB can be had';
  assert.equal(inGib(withoutIds(text)), 'evicted for comfyui, which needs 9.6 GiB where 0.9 GiB can be had');
  assert.equal(withoutIds('behind comfyui (j_0123abc), for which'), 'behind comfyui, for which');
});

test('what fills a card adds up to the card', () => {
  for (const scene of [scenes.calm, scenes.busy, scenes.consumerDown]) {
    const status = readStatus(scene(Date.now()).status);
    const [card] = status.gpu.cards;
    assert.ok(card);
    assert.equal(Math.round(sum(blocksOf(status, card))), card.total_mib);
  }
});

test('a lane shows coming, being there and going, and what ran', () => {
  const now = Date.now();
  const world = worldOf(scenes.evicting(now));
  const lanes = lanesOf(world, { from: now - 600_000, to: now });
  assert.deepEqual(
    lanes.map(({ consumer }) => consumer),
    ['mvoice', 'whisper-server', 'ollama', 'comfyui'],
  );
  const states = new Set(lanes.flatMap(({ rows }) => rows.flatMap(({ spans }) => spans.map(({ state }) => state))));
  for (const state of ['loading', 'resident', 'evicting', 'absent']) assert.ok(states.has(state), state);
  const last = lanes[0]?.rows[0]?.spans.at(-1);
  assert.equal(last?.state, 'evicting');
  assert.deepEqual(
    lanes[2]?.rows.map(({ label }) => label),
    ['llama3.2:3b', 'qwen3:8b'],
  );
  assert.ok(
    lanes.every(({ rows }) => rows.every(({ jobs }) => jobs.every(({ from, to }) => from === null || from <= to))),
  );
});

test('a restart of the daemon ends what it knew', () => {
  const now = Date.now();
  const told = scenes.calm(now);
  told.history.push(scenes.line(now - 60_000, 'daemon', { change: 'started' }));
  told.history.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const lanes = lanesOf(worldOf(told), { from: now - 30_000, to: now });
  const spans = lanes
    .flatMap(({ rows }) => rows.flatMap((row) => row.spans))
    .filter(({ state }) => state === 'resident');
  assert.ok(spans.every(({ from }) => from >= now - 60_000));
});

test('the queue is counted from the jobs themselves', () => {
  const now = Date.now();
  const world = worldOf(scenes.busy(now));
  const { steps } = queueSeriesOf(world, { from: now - 600_000, to: now });
  assert.equal(steps.at(-1)?.length, 3);
  assert.ok(steps.every(({ length }) => length >= 0));
});

test('a consequence is said with the numbers that are known', () => {
  const now = Date.now();
  const world = worldOf(scenes.busy(now));
  const known = { consumers: world.status?.consumers ?? {}, happenings: world.happenings, running: 1, waiting: 3 };
  const evict = asked({ kind: 'evict', subject: 'ollama/qwen3:8b' }, known);
  assert.match(
    evict.consequence,
    /breaks off nothing: it waits until 1 running job has ended\. It gives back 6\.0 GiB/,
  );
  assert.match(evict.consequence, /its next job waits about \d+(\.\d)? s for the load/);
  assert.equal(evict.path, '/v1/consumers/ollama/evict?model=qwen3%3A8b');
  assert.match(
    asked({ kind: 'drain', subject: '' }, known).consequence,
    /1 job running and 3 waiting are not broken off/,
  );
});

test('a life is told without gaps, from its headers to its end', () => {
  const now = Date.now();
  const world = worldOf(scenes.calm(now));
  const jobs = world.happenings.flatMap((each) => (each.event === 'job' ? [each.job] : []));
  assert.ok(jobs.length > 20);
  for (const job of jobs) {
    const phases = lifeOf(job, world.happenings, now);
    assert.equal(phases[0]?.from, Date.parse(job.queued_at));
    assert.equal(phases.at(-1)?.to, Date.parse(job.ended_at ?? ''));
    for (const [index, phase] of phases.entries()) assert.equal(phases[index + 1]?.from ?? phase.to, phase.to);
  }
});

test('what a newer daemon sends is passed over, not stumbled over', () => {
  assert.equal(readHappening('eclipse', { at: iso(0) }), null);
  assert.equal(readHappening('job', 'nonsense'), null);
  assert.equal(readHappening('target', { at: iso(0) }), null);
});

test('lengths of time read like a person says them', () => {
  assert.deepEqual(
    [null, 0, 840, 12_300, 200_000, 7_500_000, 3 * 86_400_000].map((ms) => span(ms)),
    ['—', '0.0 s', '0.8 s', '12 s', '3 min 20 s', '2 h 5 min', '3 d'],
  );
});
