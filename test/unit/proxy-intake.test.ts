import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { consumerAt, openProxy } from '../support/open-proxy.js';
import { plainAdapter } from '../support/plain-adapter.js';
import { openStandIn } from '../support/stand-in.js';
import { call, exchangeRaw, openSocket, readUntil } from '../support/wire.js';

const MIB = 1024 * 1024;
const codeIn = (text: string): string => JSON.parse(text.slice(text.indexOf('{'))).error.code;
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const head = (more: string): string => `POST /v1/stt HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
const LIMITS = { bodyBytes: 16 * MIB, bufferBytes: MIB, memoryBytes: 64 * MIB, spoolBytes: 64 * MIB };

/** A form whose file holds what parsers trip over. The small one stays in memory, the other one goes to disk. */
function form(size: 'small' | 'large'): { body: Buffer; boundary: string } {
  const boundary = '----edge';
  const file = Buffer.concat([
    ...[
      randomBytes(size === 'small' ? 1000 : 2 * MIB),
      Buffer.alloc(70_000),
      Buffer.from('\r\n\r\n--edge\r\n------edg\r\n'.repeat(500)),
    ],
    ...[randomBytes(size === 'small' ? 500_000 : MIB), Buffer.from([0xff, 0xfe, 0x80, 0x0d, 0x0a])],
  ]);
  const part = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a \\"b\\" ü.wav"\r\n\r\n`;
  return { boundary, body: Buffer.concat([Buffer.from(part), file, Buffer.from(`\r\n--${boundary}--\r\n`)]) };
}

function chunked(body: Buffer, sizes: (at: number) => number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const piece = body.subarray(at, at + sizes(at));
    pieces.push(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]));
    at += piece.length;
  }
  return [...pieces, Buffer.from('0\r\n\r\n')];
}

test('an upload arrives byte for byte with one framing header, however it was sent', async (t) => {
  const seen: { hash: string; framing: string[] }[] = [];
  const service = await openStandIn(t, async ({ req, res, body }) => {
    const framing = req.rawHeaders.filter(
      (_, at) => at % 2 === 0 && /content-length|transfer-enc/i.test(req.rawHeaders[at] ?? ''),
    );
    seen.push({ hash: digest(await body), framing });
    res.end('{"text":"ok"}');
  });
  const { port } = await openProxy(t, consumerAt(service.url), { limits: LIMITS });
  for (const size of ['small', 'large'] as const) {
    const { body, boundary } = form(size);
    const type = `Content-Type: multipart/form-data; boundary=${boundary}\r\nConnection: close\r\n`;
    const half = body.length >> 1;
    const known = `${type}Content-Length: ${body.length}\r\n`;
    const unknown = `${type}Transfer-Encoding: chunked\r\n`;
    const ways: [string, Buffer[]][] = [
      [known, [body]],
      [known, [body.subarray(0, half), body.subarray(half)]],
      [unknown, chunked(body, () => 1024)],
      [unknown, chunked(body, (at) => (at === 0 ? 5 : 100_003))],
    ];
    for (const [headers, pieces] of ways) {
      const socket = await openSocket(port);
      socket.write(head(headers));
      const answer = readUntil(socket, (text) => text.includes('{"text":"ok"}'));
      for (const piece of pieces) await new Promise((resolve) => socket.write(piece, resolve));
      assert.match(await answer, /^HTTP\/1\.1 200 /);
    }
    const expected = { hash: digest(body), framing: ['Content-Length'] };
    assert.deepEqual(seen.splice(0), [expected, expected, expected, expected], size);
  }
});

test('a body above 1 MiB waits on disk, in a file without a name, and leaves memory alone', async (t) => {
  const service = await openStandIn(t, ({ res, body }) => void body.then(() => res.end('ok')));
  let heldWhileWaiting = { memoryBytes: -1, spoolBytes: -1 };
  let readTwice: string[] = [];
  const adapter = plainAdapter({
    async need(_request, _type, body) {
      heldWhileWaiting = proxy.held();
      for (let round = 0; round < 2; round++) {
        const chunks: Buffer[] = [];
        for await (const chunk of body.read()) chunks.push(Buffer.from(chunk));
        readTwice.push(digest(Buffer.concat(chunks)));
      }
      return { model: null, usesCard: true };
    },
  });
  const { port, proxy, configuration, job } = await openProxy(t, consumerAt(service.url), { limits: LIMITS, adapter });
  const body = randomBytes(3 * MIB);
  for (const chunks of [false, true]) {
    readTwice = [];
    const socket = await openSocket(port);
    const framing = chunks ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`;
    socket.write(head(`${framing}\r\nConnection: close\r\n`));
    for (const piece of chunks ? chunked(body, () => 50_000) : [body]) socket.write(piece);
    await readUntil(socket, (text) => text.includes('\r\n\r\n'));
    const { body: arrived } = await service.next();
    assert.equal(digest(await arrived), digest(body));
    assert.deepEqual(heldWhileWaiting, { memoryBytes: 0, spoolBytes: body.length });
    assert.deepEqual(readTwice, [digest(body), digest(body)]);
    await job('ended');
    assert.deepEqual(proxy.held(), { memoryBytes: 0, spoolBytes: 0 });
  }
  const folder = join(configuration.current().stateDir, 'spool');
  assert.deepEqual(await readdir(folder), []);
  assert.equal((await stat(folder)).mode & 0o777, 0o700);
});

test('a body of 0 bytes is a job like any other; a request that says nothing of its body is refused', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('ok'));
  const { port } = await openProxy(t, consumerAt(service.url));
  assert.match(await exchangeRaw(port, head('Content-Length: 0\r\nConnection: close\r\n')), /^HTTP\/1\.1 200 /);
  assert.match(
    await exchangeRaw(port, `${head('Transfer-Encoding: chunked\r\nConnection: close\r\n')}0\r\n\r\n`),
    /^HTTP\/1\.1 200 /,
  );
  assert.deepEqual(
    service.calls.map(({ req }) => req.headers['content-length']),
    ['0', '0'],
  );
  const unframed = await exchangeRaw(port, head('Connection: close\r\n'));
  assert.match(unframed, /^HTTP\/1\.1 400 /);
  assert.equal(codeIn(unframed), 'bad_request');
  // Below a consumer's own prefix a POST without a body is usual.
  const below = await exchangeRaw(
    port,
    'POST /consumers/service/run HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  );
  assert.match(below, /^HTTP\/1\.1 200 /);
  assert.equal(service.calls.at(-1)?.req.headers['content-length'], '0');
});

test('100 Continue comes only when the job is admitted', async (t) => {
  const service = await openStandIn(t, ({ res, body }) => void body.then((bytes) => res.end(bytes)));
  const { port, setHealth, job } = await openProxy(t, consumerAt(service.url));
  const socket = await openSocket(port);
  socket.write(head('Expect: 100-continue\r\nContent-Length: 4\r\n'));
  assert.equal(await readUntil(socket, (text) => text.endsWith('\r\n\r\n')), 'HTTP/1.1 100 Continue\r\n\r\n');
  socket.write('body');
  assert.match(await readUntil(socket, (text) => text.endsWith('body')), /^HTTP\/1\.1 200 OK/);
  assert.equal(service.calls[0]?.req.headers.expect, undefined);
  socket.destroy();
  setHealth('service', 'bad', 'connection refused');
  const refused = await exchangeRaw(port, head('Expect: 100-continue\r\nContent-Length: 200000000\r\n'));
  assert.match(refused, /^HTTP\/1\.1 503 /);
  assert.match(refused, /Retry-After: 5\r\n/);
  assert.match(refused, /Connection: close\r\n/);
  assert.equal(codeIn(refused), 'consumer_down');
  await job('ended');
  assert.equal((await job('ended')).outcome?.code, 'consumer_down');
});

test('a body that is too large is refused from its headers, or when it has become so', async (t) => {
  const service = await openStandIn(t);
  const { port, job, proxy } = await openProxy(t, consumerAt(service.url), {
    limits: { ...LIMITS, bodyBytes: 100_000 },
  });
  const announced = await exchangeRaw(port, head('Content-Length: 1000000000\r\nExpect: 100-continue\r\n'));
  assert.match(announced, /^HTTP\/1\.1 413 /);
  assert.equal(codeIn(announced), 'body_too_large');
  assert.match(announced, /x-should-retry: false/);
  const socket = await openSocket(port);
  socket.write(head('Transfer-Encoding: chunked\r\n'));
  const answer = readUntil(socket, (text) => text.includes('}}'));
  for (const piece of chunked(Buffer.alloc(120_000), () => 30_000).slice(0, -1)) socket.write(piece);
  assert.match(await answer, /413 .*limits\.body_mib/s);
  socket.destroy();
  assert.deepEqual([(await job('ended')).outcome?.end, (await job('ended')).outcome?.end], ['refused', 'refused']);
  assert.equal(service.calls.length, 0);
  assert.deepEqual(proxy.held(), { memoryBytes: 0, spoolBytes: 0 });
});

test('full memory and a full spool turn newcomers away with no_space, and room that comes back counts', async (t) => {
  const service = await openStandIn(t);
  const limits = { ...LIMITS, memoryBytes: 1000, spoolBytes: 3 * MIB };
  const { port } = await openProxy(t, consumerAt(service.url), { limits });
  const small = call(port, '/v1/tts', { method: 'POST', body: 'x'.repeat(900) });
  const first = await service.next();
  const large = call(port, '/v1/tts', { method: 'POST', body: 'y'.repeat(2 * MIB) });
  for (const framing of [`Content-Length: ${200}\r\n\r\n${'z'.repeat(200)}`, `Content-Length: ${2 * MIB}\r\n\r\n`]) {
    const refused = await exchangeRaw(
      port,
      `POST /v1/stt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${framing}`,
    );
    assert.match(refused, /^HTTP\/1\.1 503 /);
    assert.equal(codeIn(refused), 'no_space');
  }
  const growing = await exchangeRaw(
    port,
    `${head('Transfer-Encoding: chunked\r\nConnection: close\r\n')}c8\r\n${'z'.repeat(200)}\r\n0\r\n\r\n`,
  );
  assert.equal(codeIn(growing), 'no_space');
  first.res.end('ok');
  assert.equal((await small).status, 200);
  (await service.next()).res.end('ok');
  assert.equal((await large).status, 200);
  const again = call(port, '/v1/tts', { method: 'POST', body: 'x'.repeat(900) });
  (await service.next()).res.end('ok');
  assert.equal((await again).status, 200);
});

test('a spool folder that cannot be written is an error of ours, with its cause in the log', async (t) => {
  const service = await openStandIn(t);
  const { port, log, configuration } = await openProxy(t, consumerAt(service.url), { limits: LIMITS });
  await writeFile(join(configuration.current().stateDir, 'spool'), 'in the way');
  const answer = await call(port, '/v1/tts', { method: 'POST', body: 'x'.repeat(2 * MIB) });
  assert.deepEqual([answer.status, codeIn(answer.text)], [500, 'internal']);
  assert.match(log.at('warn').join(), /could not be written/);
});

test('an upload that takes too long ends as upload_timeout', async (t) => {
  const service = await openStandIn(t);
  const { port, job } = await openProxy(t, consumerAt(service.url, { limits: { uploadMs: 60 } }));
  const socket = await openSocket(port);
  socket.write(head('Content-Length: 10\r\n'));
  socket.write('half');
  const answer = await readUntil(socket, (text) => text.includes('}}'));
  assert.match(answer, /^HTTP\/1\.1 504 .*timeouts\.upload \(60ms\)/s);
  assert.deepEqual([(await job('ended')).outcome?.end, codeIn(answer)], ['timed_out', 'upload_timeout']);
  assert.equal(service.calls.length, 0);
  socket.destroy();
});

test('a form that ends early never becomes a request at the consumer', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('ok'));
  const { port, job, proxy } = await openProxy(t, consumerAt(service.url), { limits: LIMITS });
  for (const framing of [`Content-Length: ${2 * MIB}`, 'Content-Length: 1000', 'Transfer-Encoding: chunked']) {
    const socket = await openSocket(port);
    socket.write(head(`${framing}\r\n`));
    socket.write(framing.startsWith('T') ? '5\r\nhello\r\n' : 'hello');
    await job('announced');
    socket.destroy();
    assert.deepEqual((await job('ended')).outcome?.code, 'cancelled');
  }
  assert.equal((await call(port, '/v1/stt', { method: 'POST', body: 'all of it' })).status, 200);
  assert.equal(service.calls.length, 1);
  assert.deepEqual(proxy.held(), { memoryBytes: 0, spoolBytes: 0 });
});

test('a job whose consumer goes down while its body comes is told so at once', async (t) => {
  const service = await openStandIn(t);
  const { port, job, setHealth } = await openProxy(t, consumerAt(service.url));
  const socket = await openSocket(port);
  socket.write(head('Content-Length: 100000\r\n'));
  await job('announced');
  setHealth('service', 'bad', 'connection refused');
  const answer = await readUntil(socket, (text) => text.includes('}}'));
  assert.match(answer, /^HTTP\/1\.1 503 /);
  assert.equal(codeIn(answer), 'consumer_down');
  socket.destroy();
});
