import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { askService, ServiceGone } from '../../src/adapters/asking.js';
import { sampleConsumer } from '../support/sample-configuration.js';
import { openRawStandIn, openStandIn } from '../support/stand-in.js';

const question = { method: 'GET', path: '/queue', timeoutMs: 5000 };

test('a question carries the headers of the file and the address of the consumer, on a connection of its own', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('ok'));
  const consumer = sampleConsumer('comfyui', { url: `${service.url}/prefix`, headers: { Authorization: 'Bearer s' } });
  const pieces: Buffer[] = [];
  assert.equal((await askService(consumer, question)).body.toString(), 'ok');
  assert.equal((await askService(consumer, { ...question, piece: (chunk) => pieces.push(chunk) })).status, 200);
  assert.equal(Buffer.concat(pieces).toString(), 'ok');
  const { req } = await service.next();
  assert.equal(req.url, '/prefix/queue');
  assert.equal(req.headers.authorization, 'Bearer s');
  assert.equal(req.headers.host, new URL(service.url).host);
  assert.equal(req.headers.connection, 'close');
});

test('a service that never answers is given up in time, before and in the middle of its answer', async (t) => {
  for (const begun of ['', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab']) {
    const service = await openRawStandIn(t, (socket) => socket.write(begun));
    const consumer = sampleConsumer('comfyui', { url: service.url });
    await assert.rejects(askService(consumer, { ...question, timeoutMs: 50 }), /comfyui did not answer GET \/queue/);
  }
});

test('an answer that is held has a limit of 16 MiB; one that is only seen coming by may be larger', async (t) => {
  const large = Buffer.alloc(17 * 1024 * 1024, 'x');
  const service = await openStandIn(t, ({ res }) => res.end(large));
  const patient = { ...question, timeoutMs: 60_000 };
  const consumer = sampleConsumer('comfyui', { url: service.url });
  await assert.rejects(askService(consumer, patient), /comfyui answered more than 16 MiB/);
  let sizeBytes = 0;
  const { body } = await askService(consumer, { ...patient, piece: (chunk) => (sizeBytes += chunk.length) });
  assert.deepEqual([sizeBytes, body.length], [large.length, 0]);
});

test('a cut answer and garbage are errors, never answers', async (t) => {
  for (const bytes of ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab', '\u0015\u0003 this is not HTTP\r\n\r\n']) {
    const service = await openRawStandIn(t, (socket) => socket.end(bytes));
    await assert.rejects(askService(sampleConsumer('comfyui', { url: service.url }), question));
  }
});

test('a refused connection says that the process is gone; a reset does not', async (t) => {
  const resetting = await openRawStandIn(t, (socket) => socket.resetAndDestroy());
  await assert.rejects(askService(sampleConsumer('comfyui', { url: resetting.url }), question), (error) => {
    return error instanceof Error && !(error instanceof ServiceGone);
  });
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(
    askService(sampleConsumer('comfyui', { url: `http://127.0.0.1:${port}` }), question),
    ServiceGone,
  );
});
