import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { test } from 'node:test';
import { BrokerError } from '../../src/errors.js';
import type { Exchange, Route } from '../../src/server/exchange.js';
import { sendError, sendJson } from '../../src/server/respond.js';
import { openDoor } from '../support/open-door.js';
import { call, exchangeRaw, openSocket, readUntil } from '../support/wire.js';

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

test('path and query reach the handler byte for byte', async (t) => {
  const { port } = await openDoor(t, [on('*', '/consumers/:name/*', echo)]);
  for (const target of ['/consumers/a/x%2Fy%20z//w/?q=%41&&b', '/consumers/a/?', '/consumers/a/%E2%82%AC?x=a/../b']) {
    const raw = await exchangeRaw(port, `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    const seen = JSON.parse(raw.slice(raw.indexOf('{')));
    assert.equal(seen.path + seen.query, target);
  }
});

test('request lines that two servers could read in two ways are refused', async (t) => {
  const { port } = await openDoor(t, [on('*', '/consumers/:name/*', echo)]);
  const bad = [
    '/consumers/a/../b/x',
    '/consumers/a/./x',
    '/consumers/a/%2e%2E/x',
    '/consumers/a/..%2fx',
    '/consumers/a/%zz',
    '*',
  ];
  for (const target of bad) {
    const raw = await exchangeRaw(port, `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    assert.match(raw, /^HTTP\/1\.1 400 /, target);
    assert.equal(codeIn(raw), 'bad_request');
  }
});

test('the absolute form of a request line names host and path', async (t) => {
  const { port } = await openDoor(t, [on('GET', '/a', echo)]);
  const ask = (target: string) =>
    exchangeRaw(port, `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  assert.match(await ask('http://localhost:99/a?x=1'), /"path":"\/a","query":"\?x=1"/);
  assert.match(await ask('http://evil.example.com/a'), /^HTTP\/1\.1 403 /);
});

test('a Host header that is missing or no host name is refused, HTTP/1.0 needs none', async (t) => {
  const { port } = await openDoor(t, [on('GET', '/a', echo)]);
  assert.equal(codeIn(await exchangeRaw(port, 'GET /a HTTP/1.1\r\nConnection: close\r\n\r\n')), 'bad_request');
  assert.equal(
    codeIn(await exchangeRaw(port, 'GET /a HTTP/1.1\r\nHost: a@b/c\r\nConnection: close\r\n\r\n')),
    'bad_request',
  );
  assert.match(await exchangeRaw(port, 'GET /a HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 /);
});

test('what is not there is answered 404 with what is, another method 405 with Allow', async (t) => {
  const { port } = await openDoor(t, [on('POST', '/v1/tts', echo)]);
  const missing = await call(port, '/v1/speech');
  assert.equal(missing.status, 404);
  assert.equal(codeIn(missing.text), 'not_found');
  assert.match(missing.text, /\/v1\/tts/);
  const wrong = await call(port, '/v1/tts');
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.allow, 'POST');
  assert.equal(codeIn(wrong.text), 'method_not_allowed');
});

test('an error carries its code and says whether waiting helps', async (t) => {
  const { port } = await openDoor(t, [
    on('GET', '/full', () => {
      throw new BrokerError('queue_full', 'overloaded', { consumer: 'mvoice', job: 'j_1' });
    }),
    on('GET', '/never', async () => {
      throw new BrokerError('does_not_fit', 'too large');
    }),
  ]);
  const full = await call(port, '/full');
  assert.equal(full.status, 429);
  assert.equal(full.headers['retry-after'], '5');
  assert.equal(full.headers['x-mgpu-error'], 'queue_full');
  assert.equal(full.headers['x-should-retry'], undefined);
  assert.deepEqual(JSON.parse(full.text), {
    error: {
      message: 'overloaded',
      type: 'rate_limit',
      code: 'queue_full',
      param: null,
      consumer: 'mvoice',
      job: 'j_1',
      retry_after_s: 5,
    },
  });
  const never = await call(port, '/never');
  assert.equal(never.headers['x-should-retry'], 'false');
  assert.equal(never.headers['retry-after'], undefined);
});

test('HEAD gets the headers of the error and no body', async (t) => {
  const { port } = await openDoor(t, [on('POST', '/v1/tts', echo)]);
  const raw = await exchangeRaw(port, 'HEAD /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  assert.match(raw, /^HTTP\/1\.1 404 .*X-MGPU-Error: not_found.*\r\n\r\n$/s);
});

test('a bug in a handler is a 500 with a number that finds it in the log', async (t) => {
  const { port, log } = await openDoor(t, [
    on('GET', '/bug', async () => {
      throw new TypeError('secret detail');
    }),
  ]);
  const answer = await call(port, '/bug?key=hidden');
  assert.equal(answer.status, 500);
  assert.equal(codeIn(answer.text), 'internal');
  assert.doesNotMatch(answer.text, /secret detail/);
  const line = log.lines.find(({ level }) => level === 'error');
  assert.ok(line !== undefined && 'request' in line.fields && answer.text.includes(String(line.fields.request)));
  assert.doesNotMatch(JSON.stringify(line), /hidden/);
});

test('a bug after the answer began cuts the connection, so that nobody takes it for whole', async (t) => {
  const { port } = await openDoor(t, [
    on('GET', '/half', async ({ res }) => {
      res.writeHead(200);
      await new Promise((resolve) => res.write('half', resolve));
      throw new Error('broke');
    }),
  ]);
  await assert.rejects(call(port, '/half'), /aborted|ECONNRESET/);
});

test('the route decides the shape of errors below it, for access errors too', async (t) => {
  const shaped: Route = {
    ...on('POST', '/consumers/:name/*', () => {
      throw new BrokerError('consumer_down', 'it is down');
    }),
    errorShape:
      ({ name }) =>
      (error) => ({ contentType: 'text/plain', body: `${name}: ${error.code}` }),
  };
  const { port } = await openDoor(t, [shaped]);
  const down = await call(port, '/consumers/ollama/x', { method: 'POST' });
  assert.equal(down.text, 'ollama: consumer_down');
  assert.equal(down.headers['x-mgpu-error'], 'consumer_down');
  const headers = { Origin: 'https://evil.example.com' };
  assert.equal((await call(port, '/consumers/ollama/x', { method: 'POST', headers })).text, 'ollama: forbidden');
});

test('a refusal arrives whole although the body is still being sent, and the connection closes', async (t) => {
  const refuse: Route['handler'] = () => {
    throw new BrokerError('draining', 'not now');
  };
  const { port } = await openDoor(t, [on('POST', '/v1/tts', refuse)]);
  const socket = await openSocket(port);
  socket.on('error', () => {});
  const body = 'x'.repeat(4 * 1024 * 1024);
  socket.write(`POST /v1/tts HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length * 2}\r\n\r\n`);
  socket.write(body);
  const answer = await readUntil(socket, (text) => text.includes('not now'));
  assert.match(answer, /^HTTP\/1\.1 503 .*Connection: close/s);
  socket.write(body);
  await once(socket, 'close');
});

test('with Expect: 100-continue the handler says go, or refuses before a byte was sent', async (t) => {
  const { port } = await openDoor(t, [
    on('POST', '/taken', async (exchange) => {
      assert.ok(exchange.expectsContinue);
      exchange.res.writeContinue();
      await echo(exchange);
    }),
    on('POST', '/refused', (exchange) => sendError(exchange, new BrokerError('body_too_large', 'too large'))),
  ]);
  const headers = { Expect: '100-continue', 'Content-Length': '5' };
  const taken = request({ host: '127.0.0.1', port, path: '/taken', method: 'POST', headers, agent: false });
  taken.flushHeaders();
  await once(taken, 'continue');
  taken.end('hello');
  const [res] = await once(taken, 'response');
  assert.equal(res.statusCode, 200);
  res.resume();

  const startedAt = performance.now();
  const raw = await exchangeRaw(
    port,
    'POST /refused HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 200000000\r\n\r\n',
  );
  assert.match(raw, /^HTTP\/1\.1 413 /);
  assert.doesNotMatch(raw, /100 Continue/);
  // Nothing was on its way, so there was nothing to wait for before closing.
  assert.ok(performance.now() - startedAt < 1500);
});

test('an expectation nobody knows is answered 417', async (t) => {
  const { port } = await openDoor(t, [on('POST', '/v1/tts', echo)]);
  const answer = await call(port, '/v1/tts', { method: 'POST', headers: { Expect: 'miracles' } });
  assert.equal(answer.status, 417);
  assert.equal(codeIn(answer.text), 'bad_request');
});
