/** Down, busy and silent consumers, through the whole daemon with its real probes. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createNetServer } from 'node:net';
import { test } from 'node:test';
import { openBroker, untilAllUp } from '../support/open-broker.js';
import { openStandIn } from '../support/stand-in.js';

/** Patient, so that a loaded machine makes nobody look ill. */
const health = { interval: '100ms', timeout: '5s' };
/** For a consumer whose silence is the point. */
const impatient = { interval: '100ms', timeout: '500ms' };
const isNow = (consumer: string, value: string) => (fact: { type: string }) =>
  fact.type === 'consumer' &&
  'consumer' in fact &&
  fact.consumer === consumer &&
  'health' in fact &&
  fact.health === value;

test('a consumer that is down: refused while the others work, and back soon after its return', {
  timeout: 60_000,
}, async (t) => {
  const well = await openStandIn(t, ({ res }) => void res.end('well'));
  const service = createServer((_req, res) => void res.end('back')).listen(0, '127.0.0.1');
  await new Promise((resolve) => service.once('listening', resolve));
  const address = service.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const broker = await openBroker(t, {
    health,
    consumers: { well: { url: well.url }, ill: { url: `http://127.0.0.1:${port}` } },
  });
  await untilAllUp(broker);
  const down = broker.until(isNow('ill', 'down'));
  service.closeAllConnections();
  service.close();
  await down;
  const refused = await broker.call('/consumers/ill/run', { method: 'POST', body: 'x' });
  assert.equal(refused.status, 503);
  const { error } = JSON.parse(refused.text);
  assert.equal(error.code, 'consumer_down');
  assert.match(error.message, /ill is down: connection refused at 127\.0\.0\.1:\d+ \(checked \d+ s ago\)/);
  assert.equal((await broker.call('/consumers/well/run', { method: 'POST', body: 'x' })).text, 'well');

  const up = broker.until(isNow('ill', 'up'));
  const again = createServer((_req, res) => void res.end('back')).listen(port, '127.0.0.1');
  t.after(() => {
    again.closeAllConnections();
    again.close();
  });
  await up;
  assert.equal((await broker.call('/consumers/ill/run', { method: 'POST', body: 'x' })).text, 'back');
});

test('a consumer that is hard at work misses its probes and is never called down; a silent idle one is', {
  timeout: 60_000,
}, async (t) => {
  let silent = false;
  let probes = 0;
  const service = await openStandIn(t, ({ req, res }) => {
    if (req.method !== 'GET') return;
    probes += 1;
    // One thread: while it works, nothing is answered.
    if (!silent) res.end('ok');
  });
  const broker = await openBroker(t, { health: impatient, consumers: { stt: { url: service.url, drain: '0s' } } });
  await untilAllUp(broker);
  let saidDown = false;
  broker.daemon.journal.subscribe(({ fact }) => {
    if (isNow('stt', 'down')(fact)) saidDown = true;
  });
  silent = true;
  const first = broker.call('/consumers/stt/run', { method: 'POST', body: 'long' });
  await service.server.listening;
  const post = async (index: number) => {
    while (service.calls.filter(({ req }) => req.method === 'POST').length <= index) await service.next();
    return service.calls.filter(({ req }) => req.method === 'POST')[index];
  };
  const begun = await post(0);
  const second = broker.call('/consumers/stt/run', { method: 'POST', body: 'next' });
  // Several probes time out meanwhile.
  const seen = probes;
  while (probes < seen + 4) await service.next();
  assert.equal((await broker.status()).consumers.stt?.health, 'up');
  begun?.res.end('one');
  assert.equal((await first).text, 'one');
  (await post(1))?.res.end('two');
  assert.equal((await second).text, 'two');
  assert.equal(saidDown, false);

  await broker.until(isNow('stt', 'down'), () => saidDown);
  assert.equal((await broker.call('/consumers/stt/run', { method: 'POST', body: 'x' })).status, 503);
});

test('status and lists do not wait for a mute consumer, nor for one whose port never completes a connection', {
  timeout: 60_000,
}, async (t) => {
  const well = await openStandIn(t, ({ res }) => void res.end('{"models":[]}'));
  const held: { destroy(): void }[] = [];
  const mute = createNetServer((socket) => void held.push(socket)).listen(0, '127.0.0.1');
  await new Promise((resolve) => mute.once('listening', resolve));
  t.after(() => {
    for (const socket of held) socket.destroy();
    mute.close();
  });
  const address = mute.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const broker = await openBroker(t, {
    health: { interval: '200ms', timeout: '1s' },
    consumers: { a: { url: well.url }, x: { url: `http://127.0.0.1:${port}` } },
  });
  const down = broker.until(isNow('x', 'down'));
  // From the first call on, before any probe has ended.
  const early = await broker.status();
  assert.ok(early.consumers.x);
  await down;
  const status = await broker.status();
  assert.equal(status.consumers.x?.health, 'down');
  assert.equal((await broker.call('/consumers/a/run', { method: 'POST', body: 'x' })).status, 200);
  const refused = await broker.call('/consumers/x/run', { method: 'POST', body: 'x' });
  assert.deepEqual([refused.status, JSON.parse(refused.text).error.consumer], [503, 'x']);
  const open = await new Promise<number>((resolve) => mute.getConnections((_error, count) => resolve(count)));
  assert.ok(open < 5, `${open} connections are open towards a mute consumer`);
});

test('a reload changes the consumers at once, a bad file changes nothing and is shown', {
  timeout: 60_000,
}, async (t) => {
  const { writeFile, readFile } = await import('node:fs/promises');
  const service = await openStandIn(t, ({ res }) => void res.end('ok'));
  const broker = await openBroker(t, { health, consumers: { tts: { url: service.url } } });
  await untilAllUp(broker);
  const good = await readFile(broker.file, 'utf8');
  const added = broker.until((fact) => fact.type === 'config');
  await writeFile(broker.file, good.replace('tts:', 'stt:'));
  await added;
  assert.deepEqual(Object.keys((await broker.status()).consumers), ['stt']);
  await writeFile(broker.file, good.replace('tts:', 'tts: { nonsense: 1 }\n  other:'));
  const refused = await broker.call('/v1/reload', { method: 'POST' });
  assert.equal(refused.status, 400);
  const status = await broker.status();
  assert.deepEqual(Object.keys(status.consumers), ['stt']);
  assert.match(String(status.config.error), /consumers\.yaml:\d+:\d+ consumers\.tts/);
});
