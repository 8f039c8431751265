/** One probe against real sockets: what each kind of answer, and of no answer, means. */
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { HealthCheck } from '../../src/config/configuration.js';
import { askHealth } from '../../src/probes/health-request.js';
import { openFullListener } from '../support/full-listener.js';
import { openRawStandIn, openStandIn } from '../support/stand-in.js';

const CHECK: HealthCheck = { path: '/health', expect: null, anyAnswer: false };

function ask(url: string, health: Partial<HealthCheck> = {}, timeoutMs = 5_000) {
  const { signal } = new AbortController();
  return askHealth({ url, health: { ...CHECK, ...health }, headers: {} }, { timeoutMs, signal });
}

/** A service that answers every probe with these bytes, and then closes or not. */
async function answering(t: TestContext, bytes: string, after: (socket: Socket) => void = (socket) => socket.end()) {
  const { url } = await openRawStandIn(t, (socket) => {
    socket.write(bytes);
    after(socket);
  });
  return { url, place: new URL(url).host };
}

const head = (status: number, rest = 'Content-Length: 2\r\n\r\nok') => `HTTP/1.1 ${status} X\r\n${rest}`;

const STATUSES: [string, Partial<HealthCheck>, number, 'good' | 'bad'][] = [
  ['200 for a path', {}, 200, 'good'],
  ['204 for a path', {}, 204, 'good'],
  ['302 for a path: a redirect is not followed', {}, 302, 'bad'],
  ['404 for a path', {}, 404, 'bad'],
  ['503 for a path', {}, 503, 'bad'],
  ['404 where any answer will do', { path: '/', anyAnswer: true }, 404, 'good'],
  ['302 where any answer will do', { path: '/', anyAnswer: true }, 302, 'good'],
  ['500 where any answer will do', { path: '/', anyAnswer: true }, 500, 'bad'],
  ['a status of the list', { expect: { statuses: [200, 404] } }, 404, 'good'],
  ['a status not of the list', { expect: { statuses: [204, 404] } }, 200, 'bad'],
  ['the text', { expect: { text: 'ok' } }, 200, 'good'],
  ['another text', { expect: { text: 'ready' } }, 200, 'bad'],
  ['the text on an error page', { expect: { text: 'ok' } }, 500, 'bad'],
];
for (const [what, health, status, result] of STATUSES) {
  test(`${what}: ${result}`, async (t) => {
    const { url, place } = await answering(t, head(status));
    const verdict = await ask(url, health);
    assert.equal(verdict.result, result);
    if (result === 'good') assert.equal(verdict.error, null);
    else
      assert.match(verdict.error ?? '', new RegExp(`^GET ${health.path ?? '/health'} at ${place} answered ${status}`));
  });
}

test('asks below the path prefix, with the headers of the consumer, on a connection that is not kept', async (t) => {
  const { url, next } = await openStandIn(t, ({ res }) => res.end());
  const { signal } = new AbortController();
  const headers = { Authorization: 'Bearer x' };
  const asked = askHealth({ url: `${url}/prefix`, health: CHECK, headers }, { timeoutMs: 5_000, signal });
  const { req } = await next();
  assert.equal((await asked).result, 'good');
  assert.equal(`${req.method} ${req.url}`, 'GET /prefix/health');
  assert.equal(req.headers.authorization, 'Bearer x');
  assert.equal(req.headers.connection, 'close');
});

test('nobody listens: refused, with the place', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  const port = typeof address === 'object' ? address?.port : 0;
  assert.deepEqual(await ask(`http://127.0.0.1:${port}`), {
    result: 'bad',
    error: `connection refused at 127.0.0.1:${port}`,
  });
});

const BROKEN: [string, string, (socket: Socket) => void, RegExp][] = [
  ['closed without an answer', '', (socket) => socket.end(), /^the connection was closed without an answer at 127/],
  ['reset', '', (socket) => socket.resetAndDestroy(), /^the connection was closed without an answer at 127/],
  [
    'garbage',
    'SSH-2.0-OpenSSH_9.2\r\n',
    (socket) => socket.end(),
    /^the answer is not HTTP at 127\.0\.0\.1:\d+ \(HPE_/,
  ],
  [
    'another protocol',
    'HTTP/1.1 101 X\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\n',
    () => {},
    /closed without an answer/,
  ],
];
for (const [what, bytes, after, error] of BROKEN) {
  test(`${what}: bad`, async (t) => {
    const { url } = await answering(t, bytes, after);
    const verdict = await ask(url);
    assert.equal(verdict.result, 'bad');
    assert.match(verdict.error ?? '', error);
  });
}

test('connects, but nobody answers: timed out', async (t) => {
  const { url, place } = await answering(t, '', () => {});
  assert.deepEqual(await ask(url, {}, 600), {
    result: 'timed_out',
    error: `no answer to GET /health within 600 ms at ${place}`,
  });
});

test('a listener whose queue is full never connects: timed out', async (t) => {
  const port = await openFullListener(t);
  assert.deepEqual(await ask(`http://127.0.0.1:${port}`, {}, 100), {
    result: 'timed_out',
    error: `no connection within 100 ms to 127.0.0.1:${port}`,
  });
});

test('a head in time is an answer, though the body never comes; an expected text that does not come is not', async (t) => {
  const { url } = await answering(t, head(200, 'Content-Length: 9\r\n\r\no'), () => {});
  assert.equal((await ask(url, {}, 600)).result, 'good');
  const verdict = await ask(url, { expect: { text: 'ok' } }, 600);
  assert.equal(verdict.result, 'timed_out');
  assert.match(verdict.error ?? '', /the rest of the answer did not come/);
});

test('a body that breaks off: the head counts, an expected text does not', async (t) => {
  const { url } = await answering(t, head(200, 'Content-Length: 9\r\n\r\no'));
  assert.equal((await ask(url)).result, 'good');
  assert.match((await ask(url, { expect: { text: 'ok' } })).error ?? '', /the answer was cut/);
});

test('of an endless body no more than 64 KiB is waited for', async (t) => {
  const { url, next } = await openStandIn(t, ({ res }) => {
    const more = (): void => {
      while (!res.destroyed && res.write('x'.repeat(16_384)));
    };
    res.on('drain', more);
    more();
  });
  const asked = ask(url, { expect: { text: 'ok' } });
  const { closed } = await next();
  assert.match((await asked).error ?? '', /in its first 64 KiB/);
  assert.deepEqual(await closed, { complete: false });
});

test('an answer that was all there leaves no connection', async (t) => {
  const { url, server } = await openStandIn(t, ({ res }) => res.end('ok'));
  const gone = new Promise((resolve) => server.once('connection', (socket) => socket.once('close', resolve)));
  assert.equal((await ask(url)).result, 'good');
  await gone;
});

test('a pause of this process is not taken for a service that does not answer', async (t) => {
  const { url } = await openStandIn(t, ({ res }) => res.end('ok'));
  const verdict = ask(url, {}, 400);
  const pausedUntil = performance.now() + 600;
  while (performance.now() < pausedUntil);
  assert.equal((await verdict).result, 'good');
});
