/** The schedule of health probes: when who is asked, what a reload changes, and that probes never pile up. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Configuration, ConsumerConfiguration } from '../../src/config/configuration.js';
import type { CoreEvent } from '../../src/core/events.js';
import { consumerId } from '../../src/core/vocabulary.js';
import { createHealthProbes } from '../../src/probes/health.js';
import { systemClock } from '../../src/runtime/clock.js';
import type { Clock } from '../../src/runtime/ports.js';
import { HeldConfiguration, sampleConfiguration, sampleConsumer } from '../support/sample-configuration.js';
import { SilentLog } from '../support/silent-log.js';
import { openStandIn, type StandIn } from '../support/stand-in.js';
import { HandClock, StillBroker } from '../support/still-broker.js';

type Probed = Extract<CoreEvent, { readonly type: 'ProbeEnded' }>;

/** Far more than any step takes, so that what never comes fails by itself. */
const WAIT_AT_MOST_MS = 15_000;

const HOUR = { intervalMs: 3_600_000, timeoutMs: 10_000 };

function configurationOf(consumers: readonly ConsumerConfiguration[], health: Configuration['health']): Configuration {
  return sampleConfiguration({ health, consumers: new Map(consumers.map((each) => [each.id, each])) });
}

const at = (name: string, url: string) => sampleConsumer(name, { url });

function openProbes(
  t: TestContext,
  consumers: readonly ConsumerConfiguration[],
  options: { readonly health?: Configuration['health']; readonly clock?: Clock } = {},
) {
  const { health = HOUR, clock = systemClock } = options;
  const broker = new StillBroker();
  const configuration = new HeldConfiguration(configurationOf(consumers, health));
  const probes = createHealthProbes({ broker, configuration, clock, log: new SilentLog() });
  t.after(() => probes.close());
  const ended = (): Probed[] => broker.posted.filter((event) => event.type === 'ProbeEnded');
  const untilEnded = (count: number): Promise<readonly Probed[]> =>
    new Promise((resolve, reject) => {
      AbortSignal.timeout(WAIT_AT_MOST_MS).onabort = () => reject(new Error(`waited in vain for ${count} reports`));
      const look = () => {
        if (ended().length >= count) resolve(ended());
      };
      broker.onPost = look;
      look();
    });
  return { probes, broker, configuration, ended, untilEnded };
}

/** Time that stands still until it is told: timers and the clock together, in small steps as in life. */
class HandTime extends HandClock {
  readonly #context: TestContext;

  constructor(t: TestContext) {
    super();
    this.#context = t;
    t.mock.timers.enable({ apis: ['setTimeout'] });
  }

  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 10) {
      this.nowMs += 10;
      this.#context.mock.timers.tick(10);
    }
  }
}

const openGood = (t: TestContext): Promise<StandIn> => openStandIn(t, ({ res }) => res.end('ok'));
const openBad = (t: TestContext): Promise<StandIn> => openStandIn(t, ({ res }) => res.writeHead(503).end());

test('every consumer is asked at once, and reported with the time its probe began', async (t) => {
  const good = await openGood(t);
  const bad = await openBad(t);
  const { probes, untilEnded } = openProbes(t, [at('a', good.url), at('b', bad.url)]);
  const before = systemClock.now();
  probes.start();
  const startedBy = systemClock.now();
  const ended = [...(await untilEnded(2))].sort((one, other) => one.consumer.localeCompare(other.consumer));
  assert.deepEqual(
    ended.map(({ consumer, result }) => [consumer, result]),
    [
      ['a', 'good'],
      ['b', 'bad'],
    ],
  );
  for (const { startedAt } of ended) assert.ok(startedAt >= before && startedAt <= startedBy);
});

test('a service that never answers has one open probe at any time, and each ends timed out', async (t) => {
  const mute = await openStandIn(t);
  let open = 0;
  let most = 0;
  mute.server.on('connection', (socket) => {
    open += 1;
    // An end and the next beginning can arrive in one turn of the event loop, and in either order.
    setImmediate(() => {
      most = Math.max(most, open);
    });
    // The other side has closed; when this side notices all of it is another matter.
    socket.once('end', () => {
      open -= 1;
    });
  });
  const { probes, untilEnded } = openProbes(t, [at('x', mute.url)], { health: { intervalMs: 1, timeoutMs: 30 } });
  probes.start();
  // Asked for more often than it can be answered.
  for (let asked = 0; asked < 5; asked += 1) probes.probeNow(consumerId('x'));
  const ended = await untilEnded(6);
  assert.deepEqual(new Set(ended.map(({ result }) => result)), new Set(['timed_out']));
  assert.equal(most, 1);
});

test('a mute consumer holds up no other', async (t) => {
  const mute = await openStandIn(t);
  const good = await openGood(t);
  const { probes, untilEnded } = openProbes(t, [at('x', mute.url), at('a', good.url)], {
    health: { intervalMs: 5, timeoutMs: 10_000 },
  });
  probes.start();
  const ended = await untilEnded(5);
  assert.deepEqual(new Set(ended.map(({ consumer }) => consumer)), new Set(['a']));
  assert.equal(mute.calls.length, 1);
});

test('one that is well is asked once an interval, one that is not every 5 s at least', async (t) => {
  const clock = new HandTime(t);
  const good = await openGood(t);
  const bad = await openBad(t);
  const { probes, untilEnded, ended } = openProbes(t, [at('a', good.url), at('b', bad.url)], {
    health: { intervalMs: 60_000, timeoutMs: 2_000 },
    clock,
  });
  probes.start();
  await untilEnded(2);
  clock.pass(4_990);
  assert.equal(ended().length, 2);
  clock.pass(10);
  await untilEnded(3);
  clock.pass(5_000);
  await untilEnded(4);
  assert.deepEqual(
    ended()
      .map(({ consumer }) => consumer)
      .slice(2),
    ['b', 'b'],
  );
});

test('after the first time the consumers are spread over the interval, then each keeps its beat', async (t) => {
  const clock = new HandTime(t);
  const services = await Promise.all([openGood(t), openGood(t), openGood(t)]);
  const consumers = services.map(({ url }, index) => at(`c${index}`, url));
  const { probes, untilEnded } = openProbes(t, consumers, { health: { intervalMs: 900, timeoutMs: 500 }, clock });
  const began = clock.nowMs;
  probes.start();
  for (let count = 3; count < 8; count += 1) {
    await untilEnded(count);
    clock.pass(300);
  }
  const ended = await untilEnded(8);
  assert.deepEqual(
    ended.slice(3).map(({ consumer, startedAt }) => [consumer, startedAt - began]),
    [
      ['c0', 300],
      ['c1', 600],
      ['c2', 900],
      ['c0', 1200],
      ['c1', 1500],
    ],
  );
});

test('probeNow asks at once; while a probe is out, once more right after it', async (t) => {
  const service = await openStandIn(t);
  const { probes, untilEnded, ended } = openProbes(t, [at('a', service.url)]);
  probes.start();
  const first = await service.next();
  probes.probeNow(consumerId('a'));
  probes.probeNow(consumerId('a'));
  probes.probeNow(consumerId('nobody'));
  first.res.end();
  const second = await service.next();
  assert.equal(ended().length, 1);
  second.res.end();
  await untilEnded(2);
  probes.probeNow(consumerId('a'));
  (await service.next()).res.end();
  await untilEnded(3);
  assert.equal(service.calls.length, 3);
});

test('a consumer that is removed is asked no more: its open probe is broken off and not reported', async (t) => {
  const service = await openStandIn(t);
  const other = await openGood(t);
  const { probes, untilEnded, configuration, ended } = openProbes(t, [at('a', service.url)]);
  probes.start();
  const probe = await service.next();
  configuration.held = configurationOf([at('b', other.url)], HOUR);
  probes.configurationChanged();
  assert.deepEqual(await probe.closed, { complete: false });
  await untilEnded(1);
  assert.deepEqual(
    ended().map(({ consumer }) => consumer),
    ['b'],
  );
});

test('a consumer that moves is asked at its new place at once; the old answer does not count', async (t) => {
  const service = await openStandIn(t);
  const moved = await openBad(t);
  const { probes, untilEnded, configuration, ended } = openProbes(t, [at('a', service.url)]);
  probes.start();
  const probe = await service.next();
  configuration.held = configurationOf([at('a', moved.url)], HOUR);
  probes.configurationChanged();
  await untilEnded(1);
  await probe.closed;
  assert.deepEqual(
    ended().map(({ result }) => result),
    ['bad'],
  );
});

test('a reload that does not concern a consumer leaves its probe and its beat alone', async (t) => {
  const service = await openStandIn(t);
  const { probes, untilEnded, configuration } = openProbes(t, [at('a', service.url)]);
  probes.start();
  const probe = await service.next();
  configuration.held = configurationOf([sampleConsumer('a', { url: service.url, pin: true })], HOUR);
  probes.configurationChanged();
  probe.res.end();
  const [ended] = await untilEnded(1);
  assert.equal(ended?.result, 'good');
  assert.equal(service.calls.length, 1);
});

test('a shorter interval counts from the reload on', async (t) => {
  const service = await openGood(t);
  const { probes, untilEnded, configuration } = openProbes(t, [at('a', service.url)]);
  probes.start();
  await untilEnded(1);
  configuration.held = configurationOf([at('a', service.url)], { intervalMs: 5, timeoutMs: 1_000 });
  probes.configurationChanged();
  await untilEnded(4);
});

test('after close no probe is reported and no socket stays', async (t) => {
  const service = await openStandIn(t);
  const { probes, broker } = openProbes(t, [at('a', service.url)]);
  probes.start();
  const probe = await service.next();
  probes.close();
  await probe.closed;
  probes.configurationChanged();
  const connections = new Promise((resolve) => service.server.getConnections((_, count) => resolve(count)));
  assert.equal(await connections, 0);
  assert.deepEqual(broker.posted, []);
});

test('a report that brings a reload with it, which removes the consumer, leaves no probe behind', async (t) => {
  const clock = new HandTime(t);
  const service = await openGood(t);
  const { probes, broker, configuration } = openProbes(t, [at('a', service.url)], {
    health: { intervalMs: 1_000, timeoutMs: 10_000 },
    clock,
  });
  const reported = new Promise<void>((resolve) => {
    broker.onPost = () => {
      configuration.held = configurationOf([], HOUR);
      probes.configurationChanged();
      resolve();
    };
  });
  probes.start();
  await reported;
  clock.pass(10_000);
  // Whatever was sent before this arrives before this.
  await fetch(service.url);
  assert.equal(service.calls.length, 2);
});
