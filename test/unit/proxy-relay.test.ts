import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { consumerAt, openProxy } from '../support/open-proxy.js';
import { plainAdapter } from '../support/plain-adapter.js';
import { openRawStandIn, openStandIn } from '../support/stand-in.js';
import { call, exchangeRaw, openSocket, readUntil } from '../support/wire.js';

const post = (path: string, body = '', more = '', version = '1.1') =>
  `POST ${path} HTTP/${version}\r\nHost: localhost\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;
const closing = 'Connection: close\r\n';

test('a job reaches the configured path with the query and the body, and its answer comes back unchanged', async (t) => {
  const service = await openStandIn(t);
  const { port, job } = await openProxy(t, consumerAt(`${service.url}/below`));
  const answer = call(port, '/v1/tts?voice=a%20b&x', { method: 'POST', body: 'hello' });
  const { req, res, body } = await service.next();
  assert.equal(req.url, '/below/tts?voice=a%20b&x');
  assert.equal(String(await body), 'hello');
  assert.equal(req.headers['content-length'], '5');
  res.writeHead(418, 'Short and stout', { 'Content-Type': 'x/y' }).end('tea');
  const { status, headers, text } = await answer;
  assert.deepEqual([status, headers['content-type'], text], [418, 'x/y', 'tea']);
  const ended = await job('ended');
  assert.deepEqual(ended.outcome, { end: 'done', code: null, message: null });
  assert.equal(headers['x-mgpu-job'], ended.id);
  assert.match(ended.id, /^j_[a-z0-9]{20}$/);
  assert.equal(headers['x-mgpu-consumer'], 'service');
  assert.match(String(headers['server-timing']), /^queue;dur=[\d.]+, load;dur=[\d.]+, upstream;dur=[\d.]+$/);
});

test('status line and headers go out before there is any body, and each piece as it comes', async (t) => {
  const service = await openStandIn(t);
  const { port, job } = await openProxy(t, consumerAt(service.url));
  const socket = await openSocket(port);
  socket.write(post('/v1/llm', '{}'));
  const { res } = await service.next();
  res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
  await readUntil(socket, (text) => text.includes('\r\n\r\n'));
  await job('granted');
  for (const piece of ['data: one\n\n', 'data: two\n\n']) {
    res.write(piece);
    assert.match(await readUntil(socket, (text) => text.includes(piece)), /data/);
  }
  res.end();
  assert.equal(await readUntil(socket, (text) => text.endsWith('0\r\n\r\n')), '0\r\n\r\n');
  socket.destroy();
});

test('headers keep their case, their order and their duplicates; those of one connection stay behind', async (t) => {
  const service = await openRawStandIn(t, (socket) =>
    socket.end(
      'HTTP/1.1 200 OK\r\nX-CamelCase: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nKeep-Alive: timeout=5\r\n' +
        'X-Hop: secret\r\nConnection: close, X-Hop\r\nProxy-Authenticate: x\r\nX-MGPU-Job: forged\r\nContent-Length: 2\r\n\r\nok',
    ),
  );
  const { port } = await openProxy(t, consumerAt(service.url, { headers: { 'X-Service-Key': 's3cret' } }));
  const sent =
    'X-Mine: 1\r\nX-Mine: 2\r\nAuthorization: Bearer t\r\nCookie: c=1\r\nX-Api-Key: k\r\nSec-Fetch-Mode: cors\r\n' +
    'TE: trailers\r\nX-Private: p\r\nConnection: close, X-Private\r\nX-Conversation-Id: 7\r\nX-Service-Key: forged\r\n' +
    'Via: 1.0 front\r\nAccept-Encoding: br\r\nOrigin: http://localhost\r\n';
  const answer = await exchangeRaw(port, post('/v1/tts', 'hi', sent));
  assert.match(answer, /X-CamelCase: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n/);
  assert.doesNotMatch(answer, /timeout=5|X-Hop|Proxy-Auth|forged/);
  const head = service.received[0] ?? '';
  assert.match(head, /X-Mine: 1\r\nX-Mine: 2\r\n/);
  assert.match(head, /Via: 1\.0 front, 1\.1 mgpumanager\r\n/);
  assert.match(head, /X-Forwarded-For: 127\.0\.0\.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: localhost\r\n/);
  assert.match(head, /X-Service-Key: s3cret\r\n/);
  assert.match(head, /Accept-Encoding: br\r\n/);
  assert.match(head, new RegExp(`Host: ${service.url.slice(7)}\r\n`));
  assert.doesNotMatch(head, /Bearer|Cookie|X-Api-Key|Sec-Fetch|X-Private|TE:|Conversation|forged|Origin|close/);
});

test('a compressed answer stays compressed, one that was not asked for stays plain', async (t) => {
  const plain = Buffer.from(JSON.stringify({ text: 'x'.repeat(20_000) }));
  const service = await openStandIn(t, ({ req, res }) => {
    const packed = String(req.headers['accept-encoding']).includes('gzip');
    const body = packed ? gzipSync(plain) : plain;
    res.writeHead(200, { ...(packed ? { 'Content-Encoding': 'gzip' } : {}), 'Content-Length': body.length });
    res.end(req.method === 'HEAD' ? undefined : body);
  });
  const { port } = await openProxy(t, consumerAt(service.url));
  for (const [path, method] of [
    ['/v1/llm', 'POST'],
    ['/consumers/service/file', 'GET'],
  ] as const) {
    for (const accepts of [undefined, 'gzip', 'gzip, deflate, br']) {
      const headers = accepts === undefined ? {} : { 'Accept-Encoding': accepts };
      const { head, body } = await fetchBytes(port, path, method, headers);
      assert.equal(head['content-encoding'], accepts === undefined ? undefined : 'gzip');
      assert.equal(Number(head['content-length']), body.length);
      assert.deepEqual(accepts === undefined ? body : gunzipSync(body), plain);
    }
  }
  const { head, body } = await fetchBytes(port, '/consumers/service/file', 'HEAD', { 'Accept-Encoding': 'gzip' });
  assert.deepEqual([head['content-encoding'], body.length], ['gzip', 0]);
  assert.equal(Number(head['content-length']), gzipSync(plain).length);
});

async function fetchBytes(port: number, path: string, method: string, headers: Record<string, string>) {
  const req = request({
    host: '127.0.0.1',
    port,
    path,
    method,
    headers: { ...headers, 'Content-Length': 0 },
    agent: false,
  });
  req.end();
  const [res] = await once(req, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of res) chunks.push(chunk);
  return { head: res.headers, body: Buffer.concat(chunks) };
}

test('an answer without a length becomes chunked, and one of HTTP/1.0 too', async (t) => {
  const service = await openRawStandIn(t, (socket) =>
    socket.end('HTTP/1.0 200 OK\r\nContent-Type: a/b\r\n\r\nsome text'),
  );
  const { port } = await openProxy(t, consumerAt(service.url));
  const answer = await exchangeRaw(port, post('/v1/tts', '', closing));
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(answer, /Transfer-Encoding: chunked\r\n/i);
  assert.match(answer, /9\r\nsome text\r\n0\r\n\r\n$/);
});

test('answers that have no body pass: 204, 304, and HEAD with a length', async (t) => {
  const service = await openStandIn(t, ({ req, res }) => {
    res.writeHead(
      req.url === '/a' ? 204 : req.url === '/b' ? 304 : 200,
      req.url === '/c' ? { 'Content-Length': 9 } : {},
    );
    res.end();
  });
  const { port } = await openProxy(t, consumerAt(service.url));
  const get = (path: string, method = 'GET') => call(port, `/consumers/service${path}`, { method });
  assert.equal((await get('/a')).status, 204);
  assert.equal((await get('/b')).status, 304);
  const head = await get('/c', 'HEAD');
  assert.deepEqual([head.status, head.headers['content-length'], head.text], [200, '9', '']);
});

test('trailers pass', async (t) => {
  const service = await openStandIn(t, ({ res }) => {
    res.writeHead(200, { Trailer: 'X-Sum' }).write('body');
    res.addTrailers({ 'X-Sum': '42' });
    res.end();
  });
  const { port } = await openProxy(t, consumerAt(service.url));
  const answer = await exchangeRaw(port, post('/v1/tts', '', closing));
  assert.match(answer, /Trailer: X-Sum\r\n/);
  assert.match(answer, /0\r\nX-Sum: 42\r\n\r\n$/);
  // A client of HTTP/1.0 has no room for them.
  assert.match(await exchangeRaw(port, post('/v1/tts', '', '', '1.0')), /\r\n\r\nbody$/);
});

test('early hints are dropped, the answer behind them passes', async (t) => {
  const service = await openStandIn(t, ({ res }) => {
    res.writeEarlyHints({ link: '</a.css>; rel=preload' });
    res.end('page');
  });
  const { port } = await openProxy(t, consumerAt(service.url));
  assert.match(await exchangeRaw(port, post('/v1/tts', '', closing)), /^HTTP\/1\.1 200 OK\r\n.*page$/s);
});

test('an answer that comes before the body was read is passed on, and the connection is closed', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.writeHead(413, { Connection: 'close' }).end('too much'));
  const { port } = await openProxy(t, consumerAt(service.url));
  const socket = await openSocket(port);
  socket.write('POST /consumers/service/files/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nbegin');
  const answer = await readUntil(socket, (text) => text.includes('too much'));
  assert.match(answer, /^HTTP\/1\.1 413 /);
  assert.match(answer, /Connection: close\r\n/);
  const closed = once(socket, 'close');
  socket.end();
  await closed;
});

test('a reader who takes nothing: the answer is read ahead to its limit, then the consumer is held back', async (t) => {
  const pieceBytes = 64 * 1024;
  const total = 64 * 1024 * 1024;
  let takenBytes = 0;
  const service = await openStandIn(t, ({ res }) => {
    res.writeHead(200, { 'Content-Length': total });
    const fill = () => {
      while (takenBytes < total) {
        takenBytes += pieceBytes;
        if (!res.write(Buffer.alloc(pieceBytes, takenBytes % 251))) {
          res.once('drain', fill);
          return;
        }
      }
      res.end();
    };
    fill();
  });
  const bufferBytes = 4 * 1024 * 1024;
  const limits = { bodyBytes: 2 ** 20, bufferBytes, memoryBytes: 2 ** 26, spoolBytes: 2 ** 20 };
  // The consumer is silent because it is held back: that must not count against it.
  const consumer = consumerAt(service.url, { limits: { idleMs: 150 } });
  const { port, proxy, job } = await openProxy(t, consumer, { limits });
  const req = request({ host: '127.0.0.1', port, path: '/v1/tts', method: 'POST', headers: { 'Content-Length': 0 } });
  req.end();
  const [res] = await once(req, 'response');
  res.pause();
  let before = -1;
  // Nothing announces that nothing comes any more: it has stood still when three looks in a row see the same.
  for (let looks = 0; looks < 3; looks = before === takenBytes ? looks + 1 : 0) {
    before = takenBytes;
    await new Promise((resolve) => setTimeout(resolve, 80));
  }
  const heldBytes = proxy.held().memoryBytes;
  assert.ok(heldBytes >= bufferBytes && heldBytes < bufferBytes + 2 ** 20, `${heldBytes} held`);
  assert.ok(takenBytes < total / 2, `${takenBytes} taken`);
  let readBytes = 0;
  for await (const chunk of res) readBytes += chunk.length;
  assert.equal(readBytes, total);
  assert.equal((await job('ended')).outcome?.end, 'done');
  assert.equal(proxy.held().memoryBytes, 0);
});

test('what fits into the read-ahead ends the job although its reader has taken nothing', async (t) => {
  const size = 12 * 1024 * 1024;
  const service = await openStandIn(t, ({ res }) => res.end(Buffer.alloc(size, 7)));
  const { port, proxy, job } = await openProxy(t, consumerAt(service.url));
  const req = request({ host: '127.0.0.1', port, path: '/v1/tts', method: 'POST', headers: { 'Content-Length': 0 } });
  req.end();
  const [res] = await once(req, 'response');
  res.pause();
  assert.equal((await job('ended')).outcome?.end, 'done');
  assert.ok(proxy.held().memoryBytes > 0);
  let readBytes = 0;
  for await (const chunk of res) readBytes += chunk.length;
  assert.equal(readBytes, size);
  assert.equal(proxy.held().memoryBytes, 0);
});

test('read-ahead shrinks where bodies and other answers need the memory', async (t) => {
  const size = 24 * 1024 * 1024;
  const service = await openStandIn(t, ({ res }) => res.end(Buffer.alloc(size, 7)));
  const memoryBytes = 2 * 1024 * 1024;
  const limits = { bodyBytes: 2 ** 20, bufferBytes: 2 ** 26, memoryBytes, spoolBytes: 2 ** 20 };
  const { port, proxy } = await openProxy(t, consumerAt(service.url), { limits, policy: 'passthrough' });
  const req = request({ host: '127.0.0.1', port, path: '/v1/tts', method: 'POST', headers: { 'Content-Length': 0 } });
  req.end();
  const [res] = await once(req, 'response');
  res.pause();
  while (proxy.held().memoryBytes < memoryBytes * 0.8) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(proxy.held().memoryBytes <= memoryBytes, `${proxy.held().memoryBytes} held`);
  // A newcomer still finds room.
  const other = call(port, '/v1/tts', { method: 'POST', body: 'x'.repeat(100_000) });
  let readBytes = 0;
  for await (const chunk of res) readBytes += chunk.length;
  assert.equal(readBytes, size);
  assert.equal((await other).status, 200);
});

test('a complaint that only the protocol shows makes the job a failed one, its answer passes all the same', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('{"error":"half way"}'));
  const seen: string[] = [];
  const adapter = plainAdapter({
    watch: () => ({
      piece: (chunk) => seen.push(String(chunk)),
      complaint: () => 'half way',
      workId: () => null,
    }),
  });
  const { port, job } = await openProxy(t, consumerAt(service.url), { adapter });
  assert.equal((await call(port, '/v1/llm', { method: 'POST', body: '' })).text, '{"error":"half way"}');
  assert.deepEqual((await job('ended')).outcome, { end: 'failed', code: 'consumer_failed', message: 'half way' });
  assert.deepEqual(seen, ['{"error":"half way"}']);
});
