/** The card probe against a pretend tool that is a real process: words, exit codes, slow, stuck, left behind, absent. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { CoreEvent } from '../../src/core/events.js';
import { type CardProbeOptions, createCardProbe } from '../../src/probes/nvidia-smi.js';
import { systemClock } from '../../src/runtime/clock.js';
import { GOOD_ANSWER, isAlive, openPretendSmi, type PretendSmi, untilTrue } from '../support/pretend-smi.js';
import { HeldConfiguration, sampleConfiguration } from '../support/sample-configuration.js';
import { SilentLog } from '../support/silent-log.js';
import { StillBroker } from '../support/still-broker.js';

type Measured = Extract<CoreEvent, { readonly type: 'CardMeasured' }>;
type Source = 'auto' | 'nvidia-smi' | 'none';

/** Far more than any step takes, so that what never comes fails by itself. */
const WAIT_AT_MOST_MS = 15_000;

const configurationWith = (source: Source, intervalMs: number) => {
  const { gpu } = sampleConfiguration();
  return sampleConfiguration({ gpu: { ...gpu, source, intervalMs } });
};

/** Samples as fast as it can unless told otherwise. */
function openProbe(
  smi: PretendSmi,
  options: Partial<CardProbeOptions> & { source?: Source; intervalMs?: number } = {},
) {
  const { source = 'nvidia-smi', intervalMs = 1, ...limits } = options;
  const broker = new StillBroker();
  const configuration = new HeldConfiguration(configurationWith(source, intervalMs));
  const log = new SilentLog();
  const probe = createCardProbe({ broker, configuration, clock: systemClock, log, env: smi.env, ...limits });
  smi.beforeRemoval(() => probe.close());
  const measured = (): Measured[] => broker.posted.filter((event) => event.type === 'CardMeasured');
  /** The next report that satisfies; reports so far do not count. */
  const next = (isIt: (event: Measured) => boolean): Promise<Measured> =>
    new Promise((resolve, reject) => {
      AbortSignal.timeout(WAIT_AT_MOST_MS).onabort = () => reject(new Error('waited in vain for a report'));
      broker.onPost = (event) => {
        if (event.type === 'CardMeasured' && isIt(event)) resolve(event);
      };
    });
  return { probe, broker, configuration, log, measured, next };
}

const isReading = ({ reading }: Measured) => reading !== null;
const isWell = ({ reading, error }: Measured) => reading !== null && error === null;
const usedOf = ({ reading }: Measured) => reading?.cards[0]?.usedMib;

test('a reading carries the time at which the question began', async (t) => {
  const { probe, next } = openProbe(await openPretendSmi(t), { intervalMs: 60_000 });
  const before = systemClock.now();
  const reported = next(isReading);
  probe.start();
  const startedBy = systemClock.now();
  const { reading, error } = await reported;
  assert.equal(error, null);
  assert.equal(reading?.source, 'nvidia-smi');
  assert.equal(reading?.cards[0]?.freeMib, 71959);
  assert.ok(reading !== null && reading.sampledAt >= before && reading.sampledAt <= startedBy);
  assert.ok(Math.abs(reading.sampledWall - Date.now()) < 10_000);
});

test('what leaves between the two questions of a reading is not gone from the list and still on the card', async (t) => {
  const smi = await openPretendSmi(t);
  smi.set('leaving');
  const { probe, next } = openProbe(smi, { intervalMs: 60_000 });
  const reported = next(isReading);
  probe.start();
  const { reading } = await reported;
  const listedMib = reading?.processes?.reduce((sum, use) => sum + (use.usedMib ?? 0), 0);
  assert.deepEqual({ listedMib, usedMib: reading?.cards[0]?.usedMib }, { listedMib: 9120, usedMib: 0 });
});

test('the tool is asked again and again, one at a time', async (t) => {
  const smi = await openPretendSmi(t);
  const { probe, next, measured } = openProbe(smi);
  const reported = next(() => measured().length >= 5);
  probe.start();
  await reported;
  assert.equal(smi.mostAlive, 1);
});

test('words instead of numbers are a reading with unknown figures; normal figures are back with the next sample', async (t) => {
  const smi = await openPretendSmi(t);
  const words = Array(10).fill('[Not Supported]').join(', ');
  smi.answer(words);
  const { probe, next } = openProbe(smi);
  const unknown = next(isReading);
  probe.start();
  const { reading, error } = await unknown;
  assert.equal(reading?.cards[0]?.usedMib, null);
  assert.match(error ?? '', /its memory is not told; nvidia-smi says \[Not Supported\]/);
  smi.answer(GOOD_ANSWER);
  const known = await next((event) => usedOf(event) === 9120);
  assert.equal(known.error, null);
});

const FAILURES: [string, number, string, RegExp][] = [
  [
    'driver and library disagree',
    18,
    'Failed to initialize NVML: Driver/library version mismatch',
    /exit code 18: Failed to initialize NVML/,
  ],
  [
    'no driver',
    9,
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
    /exit code 9: NVIDIA-SMI has failed/,
  ],
  ['no card', 6, 'No devices were found', /exit code 6: No devices were found/],
  ['nothing at all', 0, '', /^nvidia-smi shows no card$/],
  [
    'a lost card, exit code 0',
    0,
    'Unable to determine the device handle for GPU0000:01:00.0: Unknown Error',
    /shows no card: Unable to determine/,
  ],
  [
    'a needed field is unknown',
    2,
    'Field "memory.total" is not a valid field to query.',
    /exit code 2: Field "memory.total"/,
  ],
];
for (const [what, code, text, expected] of FAILURES) {
  test(`${what}: no reading, and the tool's own words say why`, async (t) => {
    const smi = await openPretendSmi(t);
    smi.answer(text, code);
    const { probe, next } = openProbe(smi);
    const reported = next(() => true);
    probe.start();
    const { reading, error } = await reported;
    assert.equal(reading, null);
    assert.match(error ?? '', expected);
  });
}

test('one card lost and another well: the reading of the one, the words about the other', async (t) => {
  const smi = await openPretendSmi(t);
  smi.answer(`Unable to determine the device handle for GPU0000:01:00.0: Unknown Error\n${GOOD_ANSWER}`, 15);
  const { probe, next } = openProbe(smi);
  const reported = next(isReading);
  probe.start();
  assert.match((await reported).error ?? '', /exit code 15: Unable to determine/);
});

test('an old driver that does not know memory.reserved is asked without it from then on', async (t) => {
  const smi = await openPretendSmi(t);
  smi.set('old-driver');
  smi.answer('0, GPU-1, 24564, 9120, 15064, 31, 54, 210.50, Card');
  const { probe, next, measured } = openProbe(smi);
  const third = next(() => measured().length === 3);
  probe.start();
  await third;
  assert.ok(measured().every(({ error, reading }) => error === null && reading?.cards[0]?.usedMib === 9120));
  assert.deepEqual(
    smi.asked.slice(0, 3).map((line) => line.includes('memory.reserved')),
    [true, false, false],
  );
});

test('a missing tool: the error names PATH and the remedy, and its appearing is noticed', async (t) => {
  const smi = await openPretendSmi(t);
  const env = { PATH: '/nowhere/at/all' };
  const { probe, next } = openProbe(smi, { source: 'auto', env });
  const missing = next(() => true);
  probe.start();
  const { error, reading } = await missing;
  assert.equal(reading, null);
  assert.match(error ?? '', /^nvidia-smi was not found \(PATH is \/nowhere\/at\/all\); install .* gpu\.source: none$/);
  const back = next(isReading);
  env.PATH = smi.env.PATH ?? '';
  assert.equal(usedOf(await back), 9120);
});

test('gpu.source none: the tool is never started, measure says so', async (t) => {
  const smi = await openPretendSmi(t);
  const { probe, broker } = openProbe(smi, { source: 'none' });
  probe.start();
  assert.match((await probe.measure()).error ?? '', /gpu\.source: none/);
  probe.configurationChanged();
  assert.deepEqual(smi.pids, []);
  assert.deepEqual(broker.posted, []);
});

test('a reload to none takes the figures back, one to nvidia-smi brings them', async (t) => {
  const smi = await openPretendSmi(t);
  const { probe, next, configuration, broker } = openProbe(smi);
  const first = next(isReading);
  probe.start();
  await first;
  const none = next(() => true);
  configuration.held = configurationWith('none', 1);
  probe.configurationChanged();
  assert.deepEqual((await none).reading?.cards, []);
  assert.equal(broker.posted.length > 0, true);
  const back = next(isReading);
  configuration.held = configurationWith('auto', 1);
  probe.configurationChanged();
  assert.equal(usedOf(await back), 9120);
});

test('a shorter interval counts from the reload on', async (t) => {
  const smi = await openPretendSmi(t);
  const { probe, next, configuration } = openProbe(smi, { intervalMs: 3_600_000 });
  const first = next(isReading);
  probe.start();
  await first;
  const second = next(isReading);
  configuration.held = configurationWith('auto', 1);
  probe.configurationChanged();
  await second;
});

test('a stuck tool: said once it is late, killed with its children, never more than two alive, back when it is well', async (t) => {
  const smi = await openPretendSmi(t);
  smi.set('stuck');
  const { probe, next, measured } = openProbe(smi, { lateMs: 200, deadlineMs: 1_200 });
  const late = next(() => true);
  probe.start();
  const { reading, error } = await late;
  assert.equal(reading, null);
  assert.match(error ?? '', /takes longer than 0\.2 s/);
  await untilTrue('four calls', () => smi.pids.length >= 4);
  assert.equal(smi.mostAlive, 2);
  assert.deepEqual(new Set(measured().map((event) => event.error)), new Set([error]));
  smi.set('answers');
  await next(isReading);
  await untilTrue('all stuck ones are gone', () => !smi.children.some(isAlive));
});

test('a slow tool: its late answer counts, with a word about its age', async (t) => {
  const smi = await openPretendSmi(t);
  smi.set('slow');
  const { probe, next } = openProbe(smi, { lateMs: 1_000, deadlineMs: 60_000 });
  const late = next(() => true);
  probe.start();
  await late;
  const answered = next(isReading);
  smi.go(1);
  const { reading, error } = await answered;
  assert.match(error ?? '', /takes longer than 1 s/);
  assert.ok(reading !== null && systemClock.now() - reading.sampledAt >= 1_000);
  smi.set('answers');
  const inTime = next(isWell);
  smi.go();
  await inTime;
});

test('a late answer of an old call never overwrites a newer one', async (t) => {
  const smi = await openPretendSmi(t);
  smi.set('slow');
  smi.answer(GOOD_ANSWER.replace('9120', '1111'));
  const { probe, next, measured } = openProbe(smi, { lateMs: 400, deadlineMs: 60_000 });
  const late = next(() => true);
  probe.start();
  await untilTrue('the first call', () => smi.asked.length === 1);
  // Only now: the first call has read its answer, or does so before it is late.
  await late;
  smi.answer(GOOD_ANSWER);
  smi.set('answers');
  const [oldest = 0] = smi.pids;
  // The old one lives on beside several good ones, which is nothing to complain of.
  for (let count = 0; count < 3; count += 1) await next((event) => usedOf(event) === 9120);
  assert.deepEqual(
    measured().filter(({ error }) => /cannot be ended/.test(error ?? '')),
    [],
  );
  assert.equal(isAlive(oldest), true);
  smi.go();
  await untilTrue('the old call has ended', () => !isAlive(oldest));
  await probe.measure();
  await probe.measure();
  assert.deepEqual(
    measured().filter((event) => usedOf(event) === 1111),
    [],
  );
});

test('output that a left-behind child holds open delays nothing, and the child is ended', async (t) => {
  const smi = await openPretendSmi(t);
  smi.set('holder');
  const { probe, next, measured } = openProbe(smi, { intervalMs: 60_000, lateMs: 5_000 });
  const reported = next(isReading);
  probe.start();
  assert.equal((await reported).error, null);
  await untilTrue('the child is gone', () => smi.children.length === 1 && !smi.children.some(isAlive));
  assert.equal(measured().length, 1);
});

test('what outlives every kill gets one successor and no more, until it is gone', async (t) => {
  const smi = await openPretendSmi(t);
  smi.set('unkillable');
  const { probe, next } = openProbe(smi, { lateMs: 300, deadlineMs: 1_000 });
  const hang = next(({ error }) => /cannot be ended/.test(error ?? ''));
  probe.start();
  assert.match((await hang).error ?? '', /^2 calls of nvidia-smi, or what they started, cannot be ended/);
  assert.match((await probe.measure()).error ?? '', /cannot be ended/);
  assert.equal(smi.children.filter(isAlive).length, 2);
  smi.set('answers');
  const back = next(isReading);
  process.kill(smi.children[0] ?? 0, 'SIGKILL');
  await back;
  // The other one is still there, and no reason not to go on.
  await next(isReading);
  assert.equal(isAlive(smi.children[1] ?? 0), true);
});

test('endless output is cut off', async (t) => {
  const smi = await openPretendSmi(t);
  smi.set('flood');
  const { probe, next } = openProbe(smi);
  const reported = next(() => true);
  probe.start();
  assert.match((await reported).error ?? '', /printed more than 256 KiB/);
});

test('measure gives a reading that began after it was asked, also while a call is out', async (t) => {
  const smi = await openPretendSmi(t);
  smi.set('slow');
  const { probe } = openProbe(smi, { intervalMs: 60_000, lateMs: 30_000, deadlineMs: 60_000 });
  probe.start();
  await untilTrue('the first call', () => smi.asked.length === 1);
  const askedAt = systemClock.now();
  const asked = [probe.measure(), probe.measure()];
  smi.go();
  const [one, other] = await Promise.all(asked);
  assert.ok(one?.reading !== null && (one?.reading.sampledAt ?? 0) >= askedAt);
  assert.equal(other, one);
  assert.equal(smi.asked.length, 2);
});

test('after close nothing is reported, and what ran is killed', async (t) => {
  const smi = await openPretendSmi(t);
  smi.set('stuck');
  const { probe, broker } = openProbe(smi, { lateMs: 60_000, deadlineMs: 60_000 });
  probe.start();
  await untilTrue('its child runs', () => smi.children.length === 1);
  const waiting = probe.measure();
  probe.close();
  assert.match((await waiting).error ?? '', /stops reading/);
  await untilTrue('all are gone', () => ![...smi.pids, ...smi.children].some(isAlive));
  assert.deepEqual(broker.posted, []);
});

test('a process with a stuck tool that outlives every kill ends at once after close', async (t) => {
  const smi = await openPretendSmi(t);
  smi.set('unkillable');
  const url = (path: string) => new URL(path, import.meta.url).href;
  const program = `
    const { createCardProbe } = await import('${url('../../src/probes/nvidia-smi.js')}');
    const { systemClock } = await import('${url('../../src/runtime/clock.js')}');
    const gpu = { source: 'nvidia-smi', intervalMs: 1 };
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const probe = createCardProbe({
      broker: { post() {} }, configuration: { current: () => ({ gpu }) }, clock: systemClock, log, env: process.env,
    });
    probe.start();
    process.once('SIGUSR2', () => probe.close());
    process.stdout.write('ready');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    env: smi.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  smi.beforeRemoval(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  await untilTrue('the tool is stuck', () => smi.children.length === 1);
  const toldAt = performance.now();
  child.kill('SIGUSR2');
  await once(child, 'exit', { signal: AbortSignal.timeout(WAIT_AT_MOST_MS) });
  assert.ok(performance.now() - toldAt < 3_000, 'ended without waiting for the tool');
  assert.equal(child.exitCode, 0);
});
