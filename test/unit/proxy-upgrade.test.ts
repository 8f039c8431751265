import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { consumerAt, openProxy } from '../support/open-proxy.js';
import { openRawStandIn, openStandIn } from '../support/stand-in.js';
import { exchangeRaw, openSocket, readUntil } from '../support/wire.js';

const HANDSHAKE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const asking = (path: string, more = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${HANDSHAKE}${more}\r\n`;

test('a websocket passes: path, text and bytes both ways, and the close code of either side', async (t) => {
  const service = await openStandIn(t);
  const sockets = new WebSocketServer({ server: service.server });
  const asked: { url: string | undefined; host: string | undefined; origin: string | undefined }[] = [];
  const closedWith: number[] = [];
  sockets.on('connection', (socket, { url, headers }) => {
    asked.push({ url, host: headers.host, origin: headers.origin });
    socket.on('message', (data, isBinary) => {
      if (String(data) === 'leave') socket.close(4001, 'as asked');
      else socket.send(data, { binary: isBinary });
    });
    socket.on('close', (code) => closedWith.push(code));
  });
  const { port } = await openProxy(t, consumerAt(service.url));
  const open = async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/consumers/service/ws?clientId=1`, {
      origin: `http://127.0.0.1:${port}`,
    });
    await once(socket, 'open');
    return socket;
  };
  const first = await open();
  for (const message of ['hello', 'x'.repeat(300_000)]) {
    first.send(message);
    const [echo] = await once(first, 'message');
    assert.equal(String(echo), message);
  }
  first.send(Buffer.from([0, 255, 13, 10]));
  const [bytes] = await once(first, 'message');
  assert.deepEqual([...bytes], [0, 255, 13, 10]);
  first.send('leave');
  const [code] = await once(first, 'close');
  assert.equal(code, 4001);
  const second = await open();
  const served = [...sockets.clients].at(-1);
  assert.ok(served);
  const closed = once(served, 'close');
  second.close(1000);
  await closed;
  assert.equal(closedWith.at(-1), 1000);
  assert.deepEqual(asked[0], { url: '/ws?clientId=1', host: service.url.slice(7), origin: undefined });
});

test('bytes sent with the handshake are not lost, on either side', async (t) => {
  const service = await openRawStandIn(t, (socket) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-A: 1\r\n\r\nearly',
    );
  });
  const { port } = await openProxy(t, consumerAt(service.url));
  const socket = await openSocket(port);
  socket.write(`${asking('/consumers/service/ws')}first`);
  const text = await readUntil(socket, (sofar) => sofar.endsWith('early'));
  assert.match(text, /^HTTP\/1\.1 101 Switching Protocols\r\nX-A: 1\r\n/);
  while (!service.received[0]?.endsWith('first')) await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
});

test('when one side goes, the other is closed', async (t) => {
  const gone: Promise<unknown>[] = [];
  const service = await openRawStandIn(t, (socket) => {
    gone.push(once(socket, 'close'));
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    socket.on('data', (chunk) => {
      if (String(chunk).includes('die')) socket.resetAndDestroy();
    });
  });
  const { port } = await openProxy(t, consumerAt(service.url));
  const open = async () => {
    const socket = await openSocket(port);
    socket.on('error', () => {});
    socket.write(asking('/consumers/service/ws'));
    await readUntil(socket, (text) => text.includes('\r\n\r\n'));
    return socket;
  };
  (await open()).destroy();
  await gone[0];
  const second = await open();
  const closed = new Promise((resolve) => second.once('close', resolve));
  second.write('die');
  await closed;
});

test('a service that declines: its answer passes, and nothing more goes past the broker on that connection', async (t) => {
  const service = await openRawStandIn(t, (socket) => {
    socket.write('HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nnope');
  });
  const { port } = await openProxy(t, consumerAt(service.url));
  const smuggled = 'POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n';
  const answer = await exchangeRaw(port, asking('/consumers/service/ws') + smuggled);
  assert.match(answer, /^HTTP\/1\.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope$/);
  assert.doesNotMatch(service.received.join(''), /generate/);
});

test('refused upgrades are answered: unknown, down, not reached, not for operators only, no job', async (t) => {
  const { port, setHealth } = await openProxy(t, consumerAt('http://127.0.0.1:1'));
  assert.match(await exchangeRaw(port, asking('/consumers/nobody/ws')), /^HTTP\/1\.1 404 .*unknown_consumer/s);
  assert.match(await exchangeRaw(port, asking('/consumers/service/ws')), /^HTTP\/1\.1 502 .*consumer_failed/s);
  const asJob = asking('/consumers/service/ws').replace('GET', 'POST');
  assert.match(await exchangeRaw(port, asJob), /^HTTP\/1\.1 400 .*cannot be a websocket/s);
  setHealth('service', 'bad', 'connection refused');
  assert.match(await exchangeRaw(port, asking('/consumers/service/ws')), /^HTTP\/1\.1 503 .*consumer_down/s);
});

test('a service that never answers the handshake ends in its own limit', async (t) => {
  const service = await openRawStandIn(t, () => {});
  const { port } = await openProxy(t, consumerAt(service.url, { limits: { firstByteMs: 50 } }));
  assert.match(await exchangeRaw(port, asking('/consumers/service/ws')), /^HTTP\/1\.1 504 .*timeouts\.first_byte/s);
});
