import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request, type ServerResponse } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { test } from 'node:test';
import type { Exchange, Route } from '../../src/server/exchange.js';
import { sendJson } from '../../src/server/respond.js';
import { createServer } from '../../src/server/server.js';
import { openDoor } from '../support/open-door.js';
import { HeldConfiguration, sampleConfiguration } from '../support/sample-configuration.js';
import { SilentLog } from '../support/silent-log.js';
import { exchangeRaw, openSocket, readUntil } from '../support/wire.js';

const on = (method: Route['method'], path: string, handler: Route['handler']): Route => ({
  method,
  path,
  needs: 'ask',
  handler,
});

async function echo(exchange: Exchange): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of exchange.req) chunks.push(chunk);
  const { path, query, req } = exchange;
  sendJson(exchange, 200, { path, query, method: req.method, body: Buffer.concat(chunks).toString() });
}

const codeIn = (text: string): string => JSON.parse(text.slice(text.indexOf('{'))).error.code;

test('garbage, endless headers, tunnels and headers that never come are each told what they are', async (t) => {
  const { port } = await openDoor(t, [on('GET', '/a', echo)], { headersTimeoutMs: 100 });
  const garbage = await exchangeRaw(port, 'this is not http\r\n\r\n');
  assert.match(garbage, /^HTTP\/1\.1 400 /);
  assert.equal(codeIn(garbage), 'bad_request');
  const endless = await exchangeRaw(port, `GET /a HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
  assert.match(endless, /^HTTP\/1\.1 431 .*16 KiB/s);
  const tunnel = await exchangeRaw(port, 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n');
  assert.match(tunnel, /^HTTP\/1\.1 405 .*https_proxy/s);
  const slow = await exchangeRaw(port, 'GET /a HTTP/1.1\r\nHost: local');
  assert.match(slow, /^HTTP\/1\.1 408 .*did not arrive in time/s);
});

test('an upload may take longer than the time limit for headers', async (t) => {
  const { port } = await openDoor(t, [on('POST', '/a', echo)], { headersTimeoutMs: 50 });
  const socket = await openSocket(port);
  socket.write('POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\nx');
  // Several rounds of the check for late headers pass here.
  await new Promise((resolve) => setTimeout(resolve, 200));
  socket.write('y');
  assert.match(await readUntil(socket, (text) => text.endsWith('}\n')), /"body":"xy"/);
});

test('garbage behind a request never lands inside its running answer', async (t) => {
  const { port } = await openDoor(t, [on('GET', '/stream', ({ res }) => void res.write('first'))]);
  const socket = await openSocket(port);
  socket.on('error', () => {});
  socket.write('GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await readUntil(socket, (text) => text.includes('first'));
  let after = '';
  socket.on('data', (chunk: Buffer) => {
    after += chunk.toString('latin1');
  });
  socket.write('garbage\r\n\r\n');
  await once(socket, 'close');
  assert.equal(after, '');
});

test('an offer of HTTP/2 is left aside and the request served, body and next request included', async (t) => {
  const { port } = await openDoor(t, [on('POST', '/a', echo)]);
  const socket = await openSocket(port);
  for (const body of ['hello', 'x'.repeat(100_000), 'again']) {
    socket.write(
      `POST /a?q=1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    const answer = await readUntil(socket, (text) => text.endsWith('}\n'));
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.ok(answer.includes(`"query":"?q=1","method":"POST","body":"${body}"`));
  }
  socket.end();
});

test('a websocket where there is none is answered 404', async (t) => {
  const { port } = await openDoor(t, [on('GET', '/a', echo)]);
  const raw = await exchangeRaw(
    port,
    'GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  );
  assert.match(raw, /^HTTP\/1\.1 404 .*"not_found"/s);
});

test('idle connections outlive the pools of front proxies', async (t) => {
  const { port } = await openDoor(t, [on('GET', '/a', echo)]);
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const req = request({ host: '127.0.0.1', port, path: '/a', agent });
  req.end();
  const [res] = await once(req, 'response');
  const seconds = Number(/timeout=(\d+)/.exec(res.headers['keep-alive'])?.[1]);
  assert.ok(seconds > 60, String(seconds));
  res.resume();
});

test('a port in use is refused with what to do, and nothing stays open', async (t) => {
  const taken = createTcpServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const used = taken.address();
  const port = used !== null && typeof used === 'object' ? used.port : 0;
  const bind = [
    { host: '127.0.0.1', port: 0 },
    { host: '127.0.0.1', port },
  ];
  const configuration = new HeldConfiguration(sampleConfiguration({ bind }));
  const server = createServer({ configuration, log: new SilentLog(), routes: [] });
  await assert.rejects(server.listen(), (error: Error) => {
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port} \\(EADDRINUSE\\).*\`bind\``));
    return true;
  });
  // A server left open would keep this test from ending.
});

test('an address that is not of this machine is refused with what to do', async () => {
  const configuration = new HeldConfiguration(sampleConfiguration({ bind: [{ host: '203.0.113.1', port: 0 }] }));
  const server = createServer({ configuration, log: new SilentLog(), routes: [] });
  await assert.rejects(server.listen(), /cannot listen on 203\.0\.113\.1:0 \(EADDRNOTAVAIL\).*0\.0\.0\.0/);
});

test('every bind address answers', async (t) => {
  const bind = [
    { host: '127.0.0.1', port: 0 },
    { host: '127.0.0.2', port: 0 },
  ];
  const configuration = new HeldConfiguration(sampleConfiguration({ bind }));
  const server = createServer({ configuration, log: new SilentLog(), routes: [on('GET', '/a', echo)] });
  const addresses = await server.listen();
  t.after(() => server.close(0));
  assert.deepEqual(
    addresses.map(({ host }) => host),
    ['127.0.0.1', '127.0.0.2'],
  );
  for (const { host, port } of addresses) {
    const req = request({ host, port, path: '/a', agent: false }).end();
    const [res] = await once(req, 'response');
    assert.equal(res.statusCode, 200);
    res.resume();
  }
});

test('closing lets a running answer end, idle connections go at once', async (t) => {
  let tellStarted: (res: ServerResponse) => void = () => {};
  const started = new Promise<ServerResponse>((resolve) => {
    tellStarted = resolve;
  });
  const { port, server } = await openDoor(t, [
    on('GET', '/stream', ({ res }) => {
      res.write('first');
      tellStarted(res);
    }),
    on('GET', '/a', echo),
  ]);
  const idle = await openSocket(port);
  idle.write('GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await readUntil(idle, (text) => text.endsWith('}\n'));
  const busy = await openSocket(port);
  busy.write('GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await readUntil(busy, (text) => text.includes('first'));
  const rest = readUntil(busy, (text) => text.includes('\r\n0\r\n'));
  const closed = server.close(60_000);
  await once(idle, 'close');
  (await started).end('last');
  assert.match(await rest, /last/);
  await closed;
});

test('closing waits for an answer that a slow reader has not taken yet', async (t) => {
  const sizeBytes = 32 * 1024 * 1024;
  const { port, server } = await openDoor(t, [
    on('GET', '/big', ({ res }) => void res.end(Buffer.alloc(sizeBytes, 'x'))),
  ]);
  const reader = await openSocket(port);
  reader.write('GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(reader, 'readable');
  const closed = server.close(60_000);
  let gotBytes = 0;
  reader.on('data', (chunk: Buffer) => {
    gotBytes += chunk.length;
  });
  await once(reader, 'close');
  await closed;
  assert.ok(gotBytes > sizeBytes, `${gotBytes} of ${sizeBytes} bytes came`);
});

test('closing cuts what has not ended within the grace', async (t) => {
  const { port, server } = await openDoor(t, [on('GET', '/stream', ({ res }) => void res.write('first'))]);
  const busy = await openSocket(port);
  busy.on('error', () => {});
  busy.write('GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await readUntil(busy, (text) => text.includes('first'));
  const gone = once(busy, 'close');
  await server.close(10);
  await gone;
});
