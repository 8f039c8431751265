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
  call.res.end(bytes);
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
  readonly headers: IncomingMessage['headers'];
  readonly bytes: Buffer;
}

function ask(port: number, path: string, body: string, encodings: string | null, onPiece?: () => void): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      ...(encodings === null ? {} : { 'accept-encoding': encodings }),
    };
    const asked = request({ host: '127.0.0.1', port, path, method: 'POST', headers, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        onPiece?.();
      });
      res.once('error', reject);
      res.once('end', () => resolve({ headers: res.headers, bytes: Buffer.concat(chunks) }));
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
  const broker = await openBroker(t, { routes: { llm: 'm', tts: 'm' }, consumers });
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
    const answer = await ask(port, '/v1/chat/completions', '{"model":"m","stream":true}', encodings, next);
    assert.equal(unpacked(answer, encodings).toString(), EVENTS.join(''));
  }
});
