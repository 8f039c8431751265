import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { createUpstreams } from '../../src/proxy/upstream.js';
import { consumerAt, openProxy } from '../support/open-proxy.js';
import { openRawStandIn, openStandIn } from '../support/stand-in.js';
import { call, openSocket, readUntil } from '../support/wire.js';

/** Well above what the broker reuses, so that a loaded machine does not blur the two. */
const IDLE_MS = 250;

/** Closes an idle connection some time after its last answer, without announcing it; keeps every id it was sent. */
async function openForgetfulStandIn(t: Parameters<typeof openStandIn>[0]) {
  const ids: string[] = [];
  const timers = new Map<Socket, NodeJS.Timeout>();
  const service = await openStandIn(t, async ({ req, res, body }) => {
    const { socket } = req;
    clearTimeout(timers.get(socket));
    ids.push(String(await body));
    res.sendDate = false;
    res.writeHead(200, { 'Content-Length': 2, Connection: 'keep-alive' }).end('ok');
    timers.set(
      socket,
      setTimeout(() => socket.destroy(), IDLE_MS),
    );
  });
  service.server.keepAliveTimeout = 0;
  t.after(() => {
    for (const timer of timers.values()) clearTimeout(timer);
  });
  return { ...service, ids };
}

test('a service that closes idle connections without a word loses no request and sees none twice', async (t) => {
  const service = await openForgetfulStandIn(t);
  const { port } = await openProxy(t, consumerAt(service.url), { policy: 'passthrough' });
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  let sent = 0;
  const ask = async (): Promise<number> => {
    sent += 1;
    const body = `id-${sent}`;
    const req = request({ host: '127.0.0.1', port, path: '/v1/tts', method: 'POST', agent });
    req.end(body);
    const [res] = await once(req, 'response');
    await res.resume().toArray();
    return res.statusCode;
  };
  const statuses: number[] = [];
  // The rhythm of the requests is that of the closing: the worst there is.
  for (let at = 0; at < 25; at++) {
    statuses.push(await ask());
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS - 3 + (at % 7)));
  }
  for (let burst = 0; burst < 6; burst++) {
    statuses.push(...(await Promise.all(Array.from({ length: 20 }, ask))));
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  }
  assert.deepEqual(new Set(statuses), new Set([200]));
  assert.equal(service.ids.length, sent);
  assert.equal(new Set(service.ids).size, sent);
});

test('a warm connection is used again', async (t) => {
  const ports = new Set<number | undefined>();
  const service = await openStandIn(t, ({ req, res }) => {
    ports.add(req.socket.remotePort);
    res.end('ok');
  });
  const { port } = await openProxy(t, consumerAt(service.url));
  for (let at = 0; at < 20; at++) await call(port, '/consumers/service/x');
  assert.ok(ports.size < 20, `${ports.size} connections for 20 requests`);
});

/** Answers the first request of the first connection and resets that connection at its second one. */
async function openResettingStandIn(t: Parameters<typeof openStandIn>[0]) {
  let connections = 0;
  let reused = '';
  const service = await openRawStandIn(t, (socket) => {
    connections += 1;
    const isFirst = connections === 1;
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    if (!isFirst) return;
    socket.on('data', (chunk) => {
      reused += String(chunk);
      socket.resetAndDestroy();
    });
  });
  return { ...service, reused: () => reused };
}

function send(url: string, method: string, body: string | null) {
  const upstreams = createUpstreams();
  const ask = (): Promise<number | string> =>
    new Promise((resolve) => {
      const held = body === null ? null : heldBody(body);
      const headers = ['Host', 'x', ...(body === null ? [] : ['Content-Length', String(body.length)])];
      upstreams.send(
        { consumer: consumerAt(url), method, path: '/', headers, body: held },
        {
          connected: () => {},
          answered: (answer) => answer.resume().once('end', () => resolve(answer.statusCode ?? 0)),
          failed: (error) => resolve('code' in error ? String(error.code) : error.message),
        },
      );
    });
  return { upstreams, ask };
}

const heldBody = (text: string) => ({
  sizeBytes: text.length,
  inMemory: Buffer.from(text),
  release: () => {},
  async *read() {
    yield Buffer.from(text);
  },
});

test('a read that meets a reset on a used connection is asked once more', async (t) => {
  const service = await openResettingStandIn(t);
  const { upstreams, ask } = send(service.url, 'GET', null);
  t.after(() => upstreams.close());
  assert.equal(await ask(), 200);
  assert.equal(await ask(), 200);
  assert.match(service.reused(), /^GET \/ /, 'the used connection was tried');
});

test('a POST that a service may have begun is never sent twice', async (t) => {
  const service = await openResettingStandIn(t);
  const { upstreams, ask } = send(service.url, 'POST', 'body');
  t.after(() => upstreams.close());
  assert.equal(await ask(), 200);
  assert.equal(await ask(), 'ECONNRESET');
  assert.match(service.reused(), /body$/);
});

test('the connections of a closed proxy are gone', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('ok'));
  const { upstreams, ask } = send(service.url, 'GET', null);
  const opened = once(service.server, 'connection');
  assert.equal(await ask(), 200);
  const [socket] = await opened;
  const closed = once(socket, 'close');
  upstreams.close();
  await closed;
});

test('a client may keep its connection over many jobs, those with a consumer that failed among them', async (t) => {
  const service = await openStandIn(t, async ({ res, req, body }) => {
    await body;
    if (req.url === '/stt') req.socket.resetAndDestroy();
    else res.end('ok');
  });
  const { port } = await openProxy(t, consumerAt(service.url));
  const socket = await openSocket(port);
  for (const [path, status] of [
    ['/v1/tts', 200],
    ['/v1/stt', 502],
    ['/v1/tts', 200],
  ] as const) {
    socket.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}`);
    const text = await readUntil(socket, (sofar) => /\r\n\r\n.+/s.test(sofar));
    assert.match(text, new RegExp(`^HTTP/1.1 ${status} `));
  }
  socket.destroy();
});

test('a connection that carried an event stream is not used again: llama-server closes some without a word', async (t) => {
  const ports: (number | undefined)[] = [];
  const service = await openStandIn(t, ({ req, res }) => {
    ports.push(req.socket.remotePort);
    res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' }).end('data: 1\n\n');
  });
  const { port } = await openProxy(t, consumerAt(service.url), { policy: 'passthrough' });
  for (let round = 0; round < 5; round += 1) {
    assert.equal((await call(port, '/v1/llm', { method: 'POST', body: 'x' })).status, 200);
  }
  assert.equal(new Set(ports).size, 5);
});
