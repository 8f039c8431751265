/** What a client may rely on beside its own requests: limits, full queues, streams of other APIs, forms that break off. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { openBroker, untilAllUp } from '../support/open-broker.js';
import { type Call, openRawStandIn, openStandIn } from '../support/stand-in.js';
import { call, exchangeRaw, openSocket, readUntil } from '../support/wire.js';

const errorOf = (text: string) => JSON.parse(text).error;
const isPost = ({ req }: Call): boolean => req.method === 'POST';

async function open(t: TestContext, answer: (call: Call) => void, more: object = {}, settings: object = {}) {
  const service = await openStandIn(t, (one) => {
    if (isPost(one)) answer(one);
    else one.res.writeHead(one.req.url === '/slots' ? 404 : 200).end('{"data":[{"id":"m"}]}');
  });
  const consumers = { one: { kind: 'openai', url: service.url, drain: '10ms', ...more } };
  const routes = { llm: 'one', stt: 'one', tts: 'one' };
  const broker = await openBroker(t, { policy: 'locked', routes, consumers, ...settings });
  await untilAllUp(broker);
  const nextJob = async (): Promise<Call> => {
    for (;;) {
      const next = await service.next();
      if (isPost(next)) return next;
    }
  };
  return { broker, service, nextJob };
}

const post = (body: string, headers: Record<string, string> = {}) => ({ method: 'POST', body, headers });

test('streams of /v1/messages and /v1/responses pass byte for byte, pings and names of events included', async (t) => {
  const streams: Readonly<Record<string, string>> = {
    '/v1/messages':
      'event: message_start\ndata: {"type":"message_start"}\n\nevent: ping\ndata: {"type": "ping"}\n\n' +
      'event: content_block_delta\r\ndata: {"type":"content_block_delta","index":0}\r\n\r\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
    '/v1/responses':
      'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n' +
      'event: response.completed\ndata: {"type":"response.completed","sequence_number":1}\n\n',
  };
  const { broker } = await open(t, ({ req, res }) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' }).end(streams[req.url ?? '']);
  });
  for (const [path, stream] of Object.entries(streams)) {
    const { status, text } = await broker.call(path, post('{"model":"m","stream":true}', { 'x-api-key': 'k' }));
    assert.deepEqual([status, text], [200, stream]);
  }
});

test('a stream of /v1/messages that breaks off ends with an error event of that API, and is cut', async (t) => {
  const { broker } = await open(t, ({ res }) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write('event: message_start\ndata: {"type":"message_start"}\n\n', () => res.destroy());
  });
  const body = '{"model":"m","stream":true}';
  const head = `POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`;
  const text = await exchangeRaw(broker.port, head + body);
  assert.match(text, /event: error\ndata: \{"type":"error","error":\{"type":"api_error","message":"/);
  assert.ok(!text.endsWith('0\r\n\r\n'), 'it must not look complete');
});

test('a full queue: 429 with a time to wait, in words that make clients try again', async (t) => {
  const { broker, nextJob } = await open(t, () => {}, {}, { queue: { max: 1 } });
  const running = broker.call('/v1/chat/completions', post('{"model":"m"}'));
  const job = await nextJob();
  const queued = broker.until((fact) => fact.type === 'job' && fact.change === 'queued');
  const waiting = broker.call('/v1/chat/completions', post('{"model":"m"}'));
  await queued;
  const { status, headers, text } = await broker.call('/v1/chat/completions', post('{"model":"m"}'));
  assert.deepEqual([status, errorOf(text).code, errorOf(text).type], [429, 'queue_full', 'rate_limit']);
  assert.match(errorOf(text).message, /overloaded/);
  assert.doesNotMatch(errorOf(text).message, /quota|billing/);
  const wait = Number(headers['retry-after']);
  assert.ok(Number.isInteger(wait) && wait >= 1 && wait <= 60);
  job.res.writeHead(200, { 'content-type': 'application/json' }).end('{"choices":[]}');
  await running;
  (await nextJob()).res.writeHead(200, { 'content-type': 'application/json' }).end('{"choices":[]}');
  assert.equal((await waiting).status, 200);
});

test('too long a body: 413 as JSON, before any of it is read', async (t) => {
  const { broker, service } = await open(t, ({ res }) => res.end('{}'), {}, { limits: { body_mib: 1 } });
  const text = await exchangeRaw(
    broker.port,
    'POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n\r\n',
  );
  assert.match(text, /^HTTP\/1\.1 413 /);
  assert.match(text, /X-Should-Retry: false/i);
  assert.equal(errorOf(text.slice(text.indexOf('{'))).code, 'body_too_large');
  assert.equal(service.calls.filter(isPost).length, 0);
});

test('a request without any framing: 400; a form whose client leaves in the middle: no request at the service', async (t) => {
  const { broker, service } = await open(t, ({ res }) => res.end('{"text":"ok"}'));
  const type = 'Content-Type: multipart/form-data; boundary=b\r\n';
  const head = `POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${type}`;
  assert.match(await exchangeRaw(broker.port, `${head}\r\n`), /^HTTP\/1\.1 400 [\s\S]*"code":"bad_request"/);
  const half = '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nRIFF';
  for (const framing of ['Content-Length: 5000\r\n\r\n', 'Transfer-Encoding: chunked\r\n\r\n']) {
    const socket = await openSocket(broker.port);
    const chunked = framing.startsWith('Transfer');
    socket.write(`${head}${framing}${chunked ? `${half.length.toString(16)}\r\n${half}\r\n` : half}`);
    await turn();
    socket.destroy();
  }
  // A request that comes after those two, and is answered, shows that theirs did not.
  const form = `${half}\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n`;
  const whole = await broker.call(
    '/v1/audio/transcriptions',
    post(form, { 'content-type': 'multipart/form-data; boundary=b' }),
  );
  assert.equal(whole.status, 200);
  assert.equal(service.calls.filter(isPost).length, 1);
});

test('speech: the first sound goes out before the last is made', async (t) => {
  const { broker, nextJob } = await open(t, () => {});
  const socket = await openSocket(broker.port);
  const body = '{"model":"m","input":"x","voice":"v"}';
  socket.write(`POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  const { res } = await nextJob();
  res.writeHead(200, { 'content-type': 'audio/mpeg' });
  res.write('first');
  await readUntil(socket, (text) => text.includes('first'));
  const rest = readUntil(socket, (text) => text.endsWith('0\r\n\r\n'));
  res.end('last');
  assert.match(await rest, /last/);
});

test("whisper-server's 404 while it loads is told as loading, with a time to wait", async (t) => {
  const whisper = await openRawStandIn(t, (socket, head) => {
    const isJob = head.startsWith('POST');
    const body = isJob ? 'File Not Found (/inference)' : '{"status":"ok"}';
    const status = isJob ? '404 Not Found' : '200 OK';
    socket.end(
      `HTTP/1.1 ${status}\r\nServer: whisper.cpp\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
  });
  const consumers = { whisper: { kind: 'whisper-server', url: whisper.url } };
  const broker = await openBroker(t, { routes: { stt: 'whisper' }, consumers });
  await untilAllUp(broker);
  const form = '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nRIFF\r\n--b--\r\n';
  const type = { 'content-type': 'multipart/form-data; boundary=b' };
  const { status, headers, text } = await call(broker.port, '/v1/audio/transcriptions', post(form, type));
  assert.deepEqual([status, errorOf(text).code], [503, 'model_loading']);
  assert.ok(Number(headers['retry-after']) >= 1);
});
