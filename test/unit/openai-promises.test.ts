/** What every client of the OpenAI routes may rely on, whichever route it asks: errors, names, framing, time. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startOllama } from '../../src/demo/services/ollama.js';
import { type OpenBroker, openBroker, untilAllUp } from '../support/open-broker.js';
import { type Call, openStandIn } from '../support/stand-in.js';
import { exchangeRaw, openSocket, readUntil, type WireRequest } from '../support/wire.js';

const errorOf = (text: string) => JSON.parse(text).error;
const post = (body: string, headers: Record<string, string> = {}): WireRequest => ({ method: 'POST', body, headers });

async function open(t: TestContext, answer: (call: Call) => void, settings: object = {}) {
  const service = await openStandIn(t, (one) => {
    if (one.req.method === 'POST') answer(one);
    else one.res.writeHead(one.req.url === '/slots' ? 404 : 200).end('{"data":[{"id":"m"}]}');
  });
  const deaf = await openStandIn(t, ({ res }) => res.end('{}'));
  const consumers = { one: { kind: 'openai', url: service.url }, whisper: { kind: 'whisper-server', url: deaf.url } };
  const broker = await openBroker(t, { routes: { llm: 'one' }, consumers, ...settings });
  await untilAllUp(broker);
  return { broker, service, deaf };
}

test('every refusal of ours has the four members that clients read, each a text or null as documented', async (t) => {
  const { broker } = await open(t, ({ res }) => res.end('{}'), { limits: { body_mib: 1 } });
  const chat = '/v1/chat/completions';
  const refusals: readonly [number, string, WireRequest][] = [
    [400, chat, post('no json')],
    [400, chat, post('[]')],
    [400, chat, post('{"model":7}')],
    [400, chat, post('')],
    [404, chat, post('{"model":"none"}')],
    [404, '/v1/models/none', {}],
    [404, '/v1/nothing', {}],
    [405, chat, {}],
    [405, '/v1/models', post('{}')],
    [413, chat, post('x'.repeat(1024 * 1024 + 1))],
    [404, '/v1/images/generations', post('{"model":"whisper","prompt":"x"}')],
    [404, '/v1/images/files/none.png', {}],
    [400, '/v1/audio/transcriptions', post('{}')],
  ];
  for (const [status, path, asked] of refusals) {
    const what = `${asked.method ?? 'GET'} ${path}`;
    const { status: said, headers, text } = await broker.call(path, asked);
    assert.equal(said, status, `${what}: ${text}`);
    assert.match(String(headers['content-type']), /^application\/json/, what);
    const { message, type, code, param } = errorOf(text);
    assert.ok(typeof message === 'string' && message.length > 0 && typeof type === 'string', what);
    for (const member of [code, param]) assert.ok(member === null || typeof member === 'string', what);
    assert.equal(headers['x-should-retry'], 'false', what);
    assert.match(String(headers['x-request-id']), /^(req|j)_/, what);
  }
});

test('what is refused has the name in the log that its client was told', async (t) => {
  const { broker } = await open(t, ({ res }) => res.end('{}'));
  const { headers } = await broker.call('/v1/models/none');
  assert.ok(broker.log.lines.some(({ fields }) => 'request' in fields && fields.request === headers['x-request-id']));
});

test('any key or none is taken, and none of them travels', async (t) => {
  const { broker, service } = await open(t, ({ res }) => res.end('{"choices":[]}'));
  const keys = [{}, { authorization: 'Bearer none' }, { authorization: 'Bearer ' }, { authorization: 'Basic eDp5' }];
  for (const headers of [...keys, { 'x-api-key': 'k' }, { 'openai-organization': 'o', 'openai-project': 'p' }]) {
    assert.equal((await broker.call('/v1/chat/completions', post('{"model":"m"}', headers))).status, 200);
    const sent = service.calls.at(-1)?.req.headers;
    assert.deepEqual([sent?.authorization, sent?.['x-api-key']], [undefined, undefined]);
  }
});

test('numbers of tokens go on as numbers of tokens, several texts stay in their order', async (t) => {
  const bodies: string[] = [];
  const { broker } = await open(t, ({ body, res }) => {
    void body.then((bytes) => {
      bodies.push(bytes.toString());
      const { input } = JSON.parse(bytes.toString());
      const data = input.map((_: unknown, index: number) => ({ object: 'embedding', index, embedding: [index, 0.5] }));
      res.setHeader('content-type', 'application/json').end(JSON.stringify({ object: 'list', model: 'm', data }));
    });
  });
  for (const input of ['[1, 2,3]', '[[1,2],[3]]', '["b","a","c"]']) {
    const body = `{"model":"m","input":${input},"encoding_format":"float"}`;
    const { text } = await broker.call('/v1/embeddings', post(body));
    assert.equal(bodies.at(-1), body);
    const { data } = JSON.parse(text);
    assert.deepEqual(
      data.map(({ index, embedding }: { index: number; embedding: number[] }) => [index, embedding[0]]),
      data.map((_: unknown, at: number) => [at, at]),
    );
  }
});

/** The next event is made only when the one before is here: a piece that was held back anywhere would end the test. */
test('each event of a stream is passed on by itself, not packed, not gathered', { timeout: 20_000 }, async (t) => {
  const service: { current: Call['res'] | null; begun: () => void } = { current: null, begun: () => {} };
  const begun = new Promise<void>((resolve) => {
    service.begun = resolve;
  });
  const { broker } = await open(t, ({ res }) => {
    service.current = res;
    service.begun();
  });
  const socket = await openSocket(broker.port);
  const body = '{"model":"m","stream":true}';
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip, br\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await begun;
  const head = readUntil(socket, (text) => text.includes('\r\n\r\n'));
  service.current?.writeHead(200, { 'content-type': 'text/event-stream' });
  service.current?.flushHeaders();
  const told = await head;
  assert.match(told, /^HTTP\/1\.1 200 OK\r\n[\s\S]*X-Accel-Buffering: no/i);
  assert.match(told, /content-type: text\/event-stream/i);
  assert.doesNotMatch(told, /content-encoding|content-length/i);
  for (let at = 0; at < 50; at += 1) {
    const event = `data: {"choices":[{"index":0,"delta":{"content":"${at}"},"finish_reason":null}]}\n\n`;
    const here = readUntil(socket, (text) => text.includes(event));
    service.current?.write(event);
    await here;
  }
  socket.destroy();
});

test('a model of a consumer that has not the route: 404 in the shape of the path, and it is not asked', async (t) => {
  const { broker, service, deaf } = await open(t, ({ res }) => res.end('{}'));
  const body = '{"model":"whisper","input":"x","messages":[]}';
  const responses = await broker.call('/v1/responses', post(body));
  assert.deepEqual([responses.status, errorOf(responses.text).param], [404, 'model']);
  assert.match(errorOf(responses.text).message, /whisper, which has no \/v1\/responses; here one would answer it/);
  const messages = await broker.call('/v1/messages', post(body));
  const { type, error } = JSON.parse(messages.text);
  assert.deepEqual([messages.status, type, error.type], [404, 'error', 'not_found_error']);
  assert.ok([...service.calls, ...deaf.calls].every(({ req }) => req.method === 'GET'));
});

test("HEAD of what programs look for: ours at the root, ollama's below its name", async (t) => {
  const ollama = await startOllama({ speed: 50 });
  t.after(() => ollama.close());
  const broker = await openBroker(t, { consumers: { ollama: { kind: 'ollama', url: ollama.url } } });
  await untilAllUp(broker);
  const paths = [
    '/',
    '/v1/models',
    '/consumers/ollama/',
    '/consumers/ollama/api/version',
    '/consumers/ollama/api/tags',
  ];
  for (const path of paths) {
    const { status, text } = await broker.call(path, { method: 'HEAD' });
    assert.deepEqual([status, text], [200, ''], path);
  }
});

test("ollama's own interface: errors as its clients parse them, lines without gaps, a last line that says so", async (t) => {
  const ollama = await startOllama({ speed: 50 });
  t.after(() => ollama.close());
  const broker = await openBroker(t, { consumers: { ollama: { kind: 'ollama', url: ollama.url } } });
  await untilAllUp(broker);
  const chat = (model: string) =>
    broker.call(
      '/consumers/ollama/api/chat',
      post(JSON.stringify({ model, messages: [{ role: 'user', content: 'x' }] })),
    );
  const good = (await chat('llama3.2:3b')).text.split('\n');
  assert.equal(good.pop(), '');
  assert.ok(good.every((line) => line !== ''));
  assert.equal(JSON.parse(good.at(-1) ?? '').done, true);
  const unknown = await chat('nope');
  assert.deepEqual([unknown.status, typeof JSON.parse(unknown.text).error], [404, 'string']);
  ollama.fault = 'job-fails';
  ollama.faultPaths = /chat/;
  const failed = (await chat('llama3.2:3b')).text.trimEnd().split('\n');
  assert.equal(typeof JSON.parse(failed.at(-1) ?? '').error, 'string');
  await broker.stop();
});

test('a body of a hundred megabytes is within the usual limit, one that is not is refused in JSON', async (t) => {
  const { broker } = await open(t, ({ res }) => res.end('{}'));
  assert.ok(limitOf(broker) >= 100_000_000);
  const head = `POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: ${limitOf(broker) + 1}\r\n\r\n`;
  const text = await exchangeRaw(broker.port, head);
  assert.match(text, /^HTTP\/1\.1 413 /);
  assert.equal(errorOf(text.slice(text.indexOf('{'))).code, 'body_too_large');
});

const limitOf = ({ daemon }: OpenBroker): number => daemon.configuration.current().limits.bodyBytes;
