import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createEndedJobs } from '../../src/control/ended-jobs.js';
import { createHistory, type History, type HistoryOptions } from '../../src/control/history.js';
import { createJobsRoutes } from '../../src/control/jobs.js';
import type { Fact, JobView } from '../../src/core/facts.js';
import { consumerId, jobId } from '../../src/core/vocabulary.js';
import { Journal } from '../../src/runtime/journal.js';
import { listAt, valueAt } from '../support/json-value.js';
import { openDoor } from '../support/open-door.js';
import { SilentLog } from '../support/silent-log.js';
import { HandClock, StillBroker, sampleJob } from '../support/still-broker.js';
import { call } from '../support/wire.js';

interface Kept {
  readonly history: History;
  readonly journal: Journal;
  readonly clock: HandClock;
  readonly log: SilentLog;
}

function temporaryState(t: TestContext): string {
  const stateDir = mkdtempSync(join(tmpdir(), 'mgpu-history-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  return stateDir;
}

async function startHistory(t: TestContext, stateDir: string, options: Partial<HistoryOptions> = {}): Promise<Kept> {
  const log = new SilentLog();
  const journal = new Journal(log);
  const clock = new HandClock();
  const history = createHistory({ journal, clock, log, stateDir, version: '0.1.0', ...options });
  await history.start();
  t.after(() => history.close());
  return { history, journal, clock, log };
}

const files = (stateDir: string): string[] => readdirSync(join(stateDir, 'history')).sort();
const linesOf = (stateDir: string, name: string): string[] =>
  readFileSync(join(stateDir, 'history', name), 'utf8')
    .split('\n')
    .slice(0, -1);
const allLines = (stateDir: string): string[] => files(stateDir).flatMap((name) => linesOf(stateDir, name));

/** As full as a job can be that waited for several things. */
function endedJob(id: string, at: number, changes: Partial<JobView> = {}): Fact {
  const since = at - 9000;
  const reason = (code: 'turn_busy' | 'draining') => ({
    code,
    holder: jobId('j_holderk3v9x2m7q1t5w8'),
    target: { consumer: consumerId('comfyui'), model: null },
    since,
  });
  const job = sampleJob(id, {
    consumer: consumerId('ollama'),
    model: 'qwen3:8b-instruct-q4_K_M',
    capability: 'llm',
    client: '100.101.102.103',
    state: 'ended',
    queuedAt: since,
    grantedAt: at - 5000,
    firstByteAt: at - 4000,
    endedAt: at,
    position: null,
    reason: null,
    reasons: [
      { at: since, reason: { code: 'taking_in' } },
      { at: since + 3, reason: reason('turn_busy') },
      { at: since + 2000, reason: reason('draining') },
    ],
    outcome: { end: 'done', code: null, message: null },
    ...changes,
  });
  return { type: 'job', change: 'ended', job };
}

test('what happened is on disk as lines that a person can read', async (t) => {
  const stateDir = temporaryState(t);
  const { history, journal } = await startHistory(t, stateDir);
  journal.record(14_000, endedJob('j_aaaaaaaaaaaaaaaaaaaa', 14_000));
  journal.record(15_000, {
    type: 'consumer',
    consumer: consumerId('mvoice'),
    health: 'down',
    error: 'connection refused',
  });
  await history.close();
  const [started, job, consumer, stopped] = allLines(stateDir).map((line): unknown => JSON.parse(line));
  assert.equal(valueAt(started, 'change'), 'started');
  assert.equal(valueAt(job, 'event'), 'job');
  assert.deepEqual(
    { at: valueAt(consumer, 'at'), health: valueAt(consumer, 'health'), error: valueAt(consumer, 'health_error') },
    { at: '2026-11-25T08:00:14.000Z', health: 'down', error: 'connection refused' },
  );
  assert.equal(valueAt(stopped, 'change'), 'stopped');
});

test('only its owner can read the files', async (t) => {
  const stateDir = temporaryState(t);
  const { history } = await startHistory(t, stateDir);
  await history.close();
  assert.equal(statSync(join(stateDir, 'history')).mode & 0o777, 0o700);
  for (const name of files(stateDir)) assert.equal(statSync(join(stateDir, 'history', name)).mode & 0o777, 0o600);
});

test('a line is on disk within a second, without anybody asking', async (t) => {
  const stateDir = temporaryState(t);
  const { journal } = await startHistory(t, stateDir);
  journal.record(14_000, { type: 'operator', action: 'drain', by: 'me' });
  const deadline = performance.now() + 1000;
  const isThere = () => files(stateDir).length > 0 && allLines(stateDir).some((line) => line.includes('"drain"'));
  while (!isThere() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(isThere());
});

test('after a line torn by a kill it starts clean, and the lines before it are kept', async (t) => {
  const stateDir = temporaryState(t);
  const first = await startHistory(t, stateDir);
  first.journal.record(14_000, endedJob('j_aaaaaaaaaaaaaaaaaaaa', 14_000));
  await first.history.close();
  const [name = ''] = files(stateDir);
  appendFileSync(join(stateDir, 'history', name), '{"at":"2026-11-25T08:00:20.000Z","event":"job","cha');
  const second = await startHistory(t, stateDir);
  second.journal.record(21_000, endedJob('j_bbbbbbbbbbbbbbbbbbbb', 21_000));
  await second.history.close();
  for (const line of allLines(stateDir)) JSON.parse(line);
  assert.ok(await second.history.findJob('j_aaaaaaaaaaaaaaaaaaaa'));
  assert.ok(await second.history.findJob('j_bbbbbbbbbbbbbbbbbbbb'));
  assert.ok(second.log.at('info').some((line) => line.includes('torn last line')));
});

test('a line in the middle that is no JSON is passed over', async (t) => {
  const stateDir = temporaryState(t);
  const { history, journal } = await startHistory(t, stateDir);
  journal.record(14_000, endedJob('j_aaaaaaaaaaaaaaaaaaaa', 14_000));
  await history.flush();
  const [name = ''] = files(stateDir);
  appendFileSync(
    join(stateDir, 'history', name),
    '{"at":"2026-11-25T08:00:14.000Z", nonsense "id":"j_cccccccccccccccccccc"\n',
  );
  const { port } = await openDoor(t, history.routes);
  const answer = await call(port, '/v1/history?from=2026-11-25T08:00:00Z&to=2026-11-25T09:00:00Z');
  assert.equal(answer.status, 200);
  assert.equal(await history.findJob('j_cccccccccccccccccccc'), null);
});

test('a job of before the restart is found with what it waited for, in the shape of /v1/jobs/ID', async (t) => {
  const stateDir = temporaryState(t);
  const first = await startHistory(t, stateDir);
  first.journal.record(
    14_000,
    endedJob('j_aaaaaaaaaaaaaaaaaaaa', 14_000, {
      outcome: { end: 'failed', code: 'consumer_failed', message: 'ollama broke off' },
    }),
  );
  await first.history.close();
  const { history } = await startHistory(t, stateDir);
  const job = await history.findJob('j_aaaaaaaaaaaaaaaaaaaa');
  assert.equal(job?.state, 'ended');
  assert.equal(job?.message, 'ollama broke off');
  assert.equal(job?.waited_ms, 4000);
  assert.equal(job?.run_ms, 5000);
  assert.deepEqual(
    job?.reasons.map(({ code }) => code),
    ['taking_in', 'turn_busy', 'draining'],
  );
  assert.match(job?.reasons[1]?.text ?? '', /waiting for comfyui/);
  assert.equal(await history.findJob('j_nobody'), null);
});

test('GET /v1/jobs/ID answers for a job that memory has forgotten, and says so where nobody knows it', async (t) => {
  const stateDir = temporaryState(t);
  const first = await startHistory(t, stateDir);
  first.journal.record(14_000, endedJob('j_aaaaaaaaaaaaaaaaaaaa', 14_000));
  await first.history.close();
  const { history, clock, journal } = await startHistory(t, stateDir);
  const ended = createEndedJobs(journal);
  t.after(() => ended.close());
  const routes = createJobsRoutes({ broker: new StillBroker(), ended, history, clock });
  const { port } = await openDoor(t, routes);
  const found: unknown = JSON.parse((await call(port, '/v1/jobs/j_aaaaaaaaaaaaaaaaaaaa')).text);
  assert.equal(valueAt(found, 'end'), 'done');
  assert.equal(listAt(found, 'reasons').length, 3);
  const unknown = await call(port, '/v1/jobs/j_bbbbbbbbbbbbbbbbbbbb');
  assert.equal(unknown.status, 404);
  assert.match(unknown.text, /none of that name ended within the last day/);
});

test('what is no job id never reaches the disk', async (t) => {
  const { history } = await startHistory(t, temporaryState(t));
  for (const id of ['', '../../etc/passwd', 'j_"', `j_${'a'.repeat(1000)}`])
    assert.equal(await history.findJob(id), null);
});

test('a stretch is answered with its records in order, and with how things stood before it', async (t) => {
  const stateDir = temporaryState(t);
  const { history, journal, clock } = await startHistory(t, stateDir);
  clock.nowMs = 60_000;
  journal.record(20_000, { type: 'consumer', consumer: consumerId('mvoice'), health: 'up', error: null });
  journal.record(30_000, { type: 'consumer', consumer: consumerId('mvoice'), health: 'down', error: 'gone' });
  journal.record(40_000, endedJob('j_aaaaaaaaaaaaaaaaaaaa', 40_000));
  journal.record(50_000, endedJob('j_bbbbbbbbbbbbbbbbbbbb', 50_000));
  const { port } = await openDoor(t, history.routes);
  const answer = await call(port, '/v1/history?from=2026-11-25T08:00:35Z&to=2026-11-25T08:00:45Z');
  const stretch: unknown = JSON.parse(answer.text);
  assert.equal(valueAt(stretch, 'truncated'), false);
  assert.deepEqual(listAt(stretch, 'records').length, 1);
  assert.equal(valueAt(stretch, 'records', 0, 'job', 'id'), 'j_aaaaaaaaaaaaaaaaaaaa');
  assert.equal(listAt(stretch, 'before').length, 1);
  assert.equal(valueAt(stretch, 'before', 0, 'health'), 'down');
});

test('an answer is bounded: the newest are kept, and it says from where on', async (t) => {
  const stateDir = temporaryState(t);
  const { history, journal, clock } = await startHistory(t, stateDir);
  clock.nowMs = 200_000;
  for (let n = 0; n < 100; n += 1) journal.record(20_000 + n * 1000, endedJob(`j_${n}`, 20_000 + n * 1000));
  const { port } = await openDoor(t, history.routes);
  const answer = await call(port, '/v1/history?from=2026-11-25T08:00:00Z&to=2026-11-25T09:00:00Z&limit=10');
  const stretch: unknown = JSON.parse(answer.text);
  assert.equal(valueAt(stretch, 'truncated'), true);
  assert.equal(listAt(stretch, 'records').length, 10);
  assert.equal(valueAt(stretch, 'records', 9, 'job', 'id'), 'j_99');
  assert.equal(valueAt(stretch, 'from'), valueAt(stretch, 'records', 0, 'at'));
});

test('a question that makes no sense is refused with words', async (t) => {
  const { history } = await startHistory(t, temporaryState(t));
  const { port } = await openDoor(t, history.routes);
  for (const [query, says] of [
    ['from=yesterday', /from must be a time like/],
    ['to=99999999999999999999', /to must be a time/],
    ['from=2026-11-25T09:00:00Z&to=2026-11-25T08:00:00Z', /from is later than to/],
    ['limit=0', /limit must be a whole number/],
  ] as const) {
    const answer = await call(port, `/v1/history?${query}`);
    assert.equal(answer.status, 400, query);
    assert.match(answer.text, says);
  }
});

test('every hour a new file begins, and says first how things stand', async (t) => {
  const stateDir = temporaryState(t);
  const { history, journal, clock } = await startHistory(t, stateDir);
  journal.record(14_000, { type: 'consumer', consumer: consumerId('mvoice'), health: 'down', error: 'gone' });
  await history.flush();
  clock.nowMs += 3_600_000;
  journal.record(clock.nowMs, { type: 'operator', action: 'drain', by: 'me' });
  await history.flush();
  const names = files(stateDir);
  assert.equal(names.length, 2);
  const [first, second] = linesOf(stateDir, names[1] ?? '');
  assert.match(first ?? '', /"carried":true.*"consumer":"mvoice","health":"down"/);
  assert.match(second ?? '', /"drain"/);
  const { port } = await openDoor(t, history.routes);
  const answer: unknown = JSON.parse(
    (await call(port, '/v1/history?from=2026-11-25T09:00:00Z&to=2026-11-25T10:00:00Z')).text,
  );
  assert.equal(valueAt(answer, 'before', 0, 'consumer'), 'mvoice');
  // What was carried over is no second happening.
  assert.equal(listAt(answer, 'records').length, 1);
});

test('what is older than a day is forgotten', async (t) => {
  const stateDir = temporaryState(t);
  const { history, journal, clock } = await startHistory(t, stateDir);
  for (let hour = 0; hour < 30; hour += 1) {
    journal.record(clock.nowMs, endedJob(`j_hour${hour}`, clock.nowMs));
    await history.flush();
    clock.nowMs += 3_600_000;
  }
  // The file in which yesterday's same moment lies is kept whole.
  assert.equal(files(stateDir).length, 26);
  assert.equal(await history.findJob('j_hour0'), null);
  assert.ok(await history.findJob('j_hour29'));
});

test('a day of twenty jobs a minute stays under 50 MB, and a busier one is bounded by the oldest going', async (t) => {
  const stateDir = temporaryState(t);
  const { history, journal, clock } = await startHistory(t, stateDir);
  const began = clock.nowMs;
  const day = 24 * 3_600_000;
  for (let n = 0; clock.nowMs - began < day; n += 1) {
    clock.nowMs += 3000;
    journal.record(clock.nowMs, endedJob(`j_day${String(n).padStart(17, '0')}`, clock.nowMs));
    // What a swap costs: four moves, which are told as facts of about this length.
    for (let move = 0; move < 2; move += 1) {
      const error =
        'evicted for j_0123456789abcdefghij (comfyui), which needs 9,800 MiB where 2,100 MiB can be had; idle for 64 s';
      journal.record(clock.nowMs, { type: 'consumer', consumer: consumerId('ollama'), health: 'up', error });
    }
    journal.record(clock.nowMs, { type: 'gpu', reading: readingAt(clock.nowMs, 2000 + (n % 2) * 9000), error: null });
    if (n % 2000 === 0) await history.flush();
  }
  await history.flush();
  const sizes = files(stateDir).map((name) => statSync(join(stateDir, 'history', name)).size);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  t.diagnostic(`${(total / 1e6).toFixed(1)} MB in ${sizes.length} files`);
  assert.ok(total < 50_000_000, `${total} bytes`);
  assert.ok(await history.findJob('j_day00000000000028799'));
});

test('the bound holds whatever comes', async (t) => {
  const stateDir = temporaryState(t);
  const bounds = { totalBytes: 100_000, fileBytes: 20_000 };
  const { history, journal, clock } = await startHistory(t, stateDir, { bounds });
  for (let n = 0; n < 400; n += 1) {
    clock.nowMs += 1000;
    journal.record(clock.nowMs, endedJob(`j_n${n}`, clock.nowMs));
    if (n % 10 === 0) await history.flush();
  }
  const sizes = files(stateDir).map((name) => statSync(join(stateDir, 'history', name)).size);
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) <= 130_000, sizes.join(' '));
  assert.ok(sizes.length > 2);
});

function readingAt(at: number, usedMib: number) {
  const card = {
    index: 0,
    uuid: 'GPU-0',
    name: 'card',
    totalMib: 24_000,
    usedMib,
    freeMib: 24_000 - usedMib,
    driverReservedMib: 300,
    utilizationPct: 40,
    temperatureC: 55,
    powerW: 200,
  };
  return {
    source: 'nvidia-smi' as const,
    startedAt: at,
    sampledAt: at,
    sampledWall: at,
    cards: [card],
    processes: null,
  };
}

test('a card that stands still costs a line every 10 s, one that moves a line a reading', async (t) => {
  const stateDir = temporaryState(t);
  const { history, journal } = await startHistory(t, stateDir);
  for (let at = 20_000; at < 40_000; at += 2000)
    journal.record(at, { type: 'gpu', reading: readingAt(at, 9000), error: null });
  for (let at = 40_000; at < 50_000; at += 2000)
    journal.record(at, { type: 'gpu', reading: readingAt(at, at / 10), error: null });
  await history.close();
  assert.equal(allLines(stateDir).filter((line) => line.includes('"event":"gpu"')).length, 2 + 5);
});

test('a disk that cannot be written is told once, and costs nobody anything else', async (t) => {
  const stateDir = temporaryState(t);
  writeFileSync(join(stateDir, 'history'), 'a file where the folder should be');
  const { history, journal, log } = await startHistory(t, stateDir);
  journal.record(14_000, endedJob('j_aaaaaaaaaaaaaaaaaaaa', 14_000));
  await history.flush();
  await history.flush();
  assert.equal(log.at('error').filter((line) => line.includes('history cannot be written')).length, 1);
  rmSync(join(stateDir, 'history'));
  assert.ok(await history.findJob('j_aaaaaaaaaaaaaaaaaaaa'), 'what waited is written when the disk takes it again');
  assert.ok(log.at('info').some((line) => line.includes('history is written again')));
});
