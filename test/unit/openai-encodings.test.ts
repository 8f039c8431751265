/** Services that compress where they may: nobody behind the broker sees bytes that are not what their headers say. */
import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { type TestContext, test } from 'node:test';
import { brotliDecompressSync, constants, createGzip, gunzipSync, gzipSync } from 'node:zlib';
import { openBroker, untilAllUp } from '../support/open-broker.js';
import { type Call, openStandIn } from '../support/stand-in.js';

const WHOLE = JSON.stringify({ choices: [{ index: 0, message: { content: 'é'.repeat(10_000) } }] });
const SOUND = Buffer.alloc(200_000, 'RIFF');
const EVENTS = ['{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}', '[DONE]'].map(
  (one) => `data: ${one}\n\n`,
);

const mayZip = ({ req }: Call): boolean => /\bgzip\b/.test(String(req.headers['accept-encoding'] ?? ''));

function answerWhole(call: Call, type: string, body: string | Buffer): void {
  const zipped = mayZip(call);
  const bytes = zipped ? gzipSync(body) : Buffer.from(body);
  const head = { 'content-type': type, 'content-length': bytes.length };
  call.res.writeHead(200, zipped ? { ...head, 'content-encoding': 'gzip' } : head);
  call.res.end(call.req.method === 'HEAD' ? undefined : bytes);
}

/** Each event by itself, and the next one only when the client has the one before. */
function answerEvents(call: Call, next: () => Promise<void>): void {
  const zipped = mayZip(call);
  const encoding = zipped ? { 'content-encoding': 'gzip' } : {};
  call.res.writeHead(200, { 'content-type': 'text/event-stream', ...encoding });
  const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH });
  if (zipped) gzip.pipe(call.res);
  const to = zipped ? gzip : call.res;
  void (async () => {
    for (const event of EVENTS) {
      to.write(event);
      await next();
    }
    to.end();
  })();
}

interface Raw {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: Buffer;
}

interface Asked {
  readonly method?: 'POST' | 'GET' | 'HEAD';
  readonly onPiece?: () => void;
}

function ask(
  port: number,
  path: string,
  body: string,
  encodings: string | null,
  { method = 'POST', onPiece }: Asked = {},
): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      ...(encodings === null ? {} : { 'accept-encoding': encodings }),
    };
    const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        onPiece?.();
      });
      res.once('error', reject);
      res.once('end', () =>
        resolve({ status: res.statusCode ?? 0, headers: res.headers, bytes: Buffer.concat(chunks) }),
      );
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

function unpacked({ headers, bytes }: Raw, encodings: string | null): Buffer {
  const encoding = headers['content-encoding'];
  if (headers['content-length'] !== undefined) assert.equal(Number(headers['content-length']), bytes.length);
  if (encoding === undefined) return bytes;
  assert.ok(encodings?.includes(encoding), `${encoding} was not asked for`);
  return encoding === 'br' ? brotliDecompressSync(bytes) : gunzipSync(bytes);
}

const CLIENTS = [null, 'identity', 'gzip', 'gzip, deflate, br'];

async function openZipping(t: TestContext) {
  let given: () => void = () => {};
  const service = await openStandIn(t, (call) => {
    const { req, res, body } = call;
    if (req.url?.startsWith('/audio/')) return answerWhole(call, 'audio/wav', SOUND);
    if (req.url === '/props') return answerWhole(call, 'application/json', WHOLE);
    if (req.method !== 'POST') return void res.end('{"data":[{"id":"m"}]}');
    void body.then((bytes) => {
      if (req.url?.endsWith('/speech')) answerWhole(call, 'audio/wav', SOUND);
      else if (bytes.includes('"stream":true')) {
        answerEvents(
          call,
          () =>
            new Promise((resolve) => {
              given = resolve;
            }),
        );
      } else answerWhole(call, 'application/json', WHOLE);
    });
  });
  const consumers = { m: { kind: 'openai', url: service.url } };
  const broker = await openBroker(t, { routes: { llm: 'm', tts: 'm' }, audio_proxy: 'm', consumers });
  await untilAllUp(broker);
  return { port: broker.port, next: () => given() };
}

test('whole answers, chats and sound: the same bytes for every client, by every route', async (t) => {
  const { port } = await openZipping(t);
  for (const encodings of CLIENTS) {
    for (const path of ['/v1/chat/completions', '/v1/llm', '/consumers/m/v1/chat/completions']) {
      const answer = await ask(port, path, '{"model":"m"}', encodings);
      assert.equal(unpacked(answer, encodings).toString(), WHOLE, `${path} ${encodings}`);
    }
    for (const path of ['/v1/audio/speech', '/v1/tts']) {
      const answer = await ask(port, path, '{"model":"m","input":"x","voice":"y","response_format":"wav"}', encodings);
      assert.ok(unpacked(answer, encodings).equals(SOUND), `${path} ${encodings}`);
    }
  }
});

test('streams arrive event by event', async (t) => {
  const { port, next } = await openZipping(t);
  for (const encodings of CLIENTS) {
    // The service sends the next event when this one has come through: one that were held back would end the test.
    const answer = await ask(port, '/v1/chat/completions', '{"model":"m","stream":true}', encodings, { onPiece: next });
    assert.equal(unpacked(answer, encodings).toString(), EVENTS.join(''));
  }
});

test('HEAD says of an answer what GET says of it, its encoding and its length too, and brings no body', async (t) => {
  const { port } = await openZipping(t);
  for (const path of ['/audio/a.wav', '/consumers/m/audio/a.wav', '/consumers/m/props']) {
    for (const encodings of CLIENTS) {
      const head = await ask(port, path, '', encodings, { method: 'HEAD' });
      const whole = await ask(port, path, '', encodings, { method: 'GET' });
      assert.equal(head.bytes.length, 0);
      assert.ok(unpacked(whole, encodings).equals(path.endsWith('wav') ? SOUND : Buffer.from(WHOLE)));
      for (const name of ['content-encoding', 'content-length', 'content-type'])
        assert.equal(head.headers[name], whole.headers[name], `${path} ${encodings} ${name}`);
      assert.equal(head.headers['content-encoding'], encodings?.includes('gzip') ? 'gzip' : undefined);
      assert.equal(Number(head.headers['content-length']), whole.bytes.length);
    }
  }
});

test('HEAD where there are jobs only: 405 with what is taken, about bytes that no service packed', async (t) => {
  const { port } = await openZipping(t);
  for (const path of ['/v1/chat/completions', '/chat/completions', '/v1/llm', '/v1/audio/speech']) {
    const { status, headers, bytes } = await ask(port, path, '', 'gzip', { method: 'HEAD' });
    assert.deepEqual([status, headers.allow, headers['content-encoding'], bytes.length], [405, 'POST', undefined, 0]);
    assert.ok(Number(headers['content-length']) > 0, path);
  }
});
