/** The stand-in for mvoice: JSON in, JSON with a path out, and the WAV under that path. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startMvoice } from '../../src/demo/services/mvoice.js';
import { numberAt, textAt, valueAt } from '../support/json-value.js';

const mvoice = await startMvoice({ speed: 200 });
after(() => mvoice.close());

const speak = (body: unknown, path = '/v1/tts'): Promise<Response> =>
  fetch(mvoice.url + path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

async function speakSome(): Promise<string> {
  return textAt(await (await speak({ text: 'Hello.' })).json(), 'audio');
}

test('text gives the path of a WAV, relative and below /audio/', async () => {
  for (const [body, route] of [
    [{ text: 'Hello.' }, '/v1/tts'],
    [{ input: 'Hello.' }, '/tts'],
  ] as const) {
    const response = await speak(body, route);
    assert.equal(response.status, 200);
    const answer = await response.json();
    const path = textAt(answer, 'audio');
    assert.match(path, /^\/audio\/[0-9a-f]+\.wav$/);
    const wav = Buffer.from(await (await fetch(mvoice.url + path)).arrayBuffer());
    assert.equal(wav.toString('latin1', 0, 4), 'RIFF');
    assert.ok(
      Math.abs((wav.length - 44) / 2 / numberAt(answer, 'sample_rate') - numberAt(answer, 'duration_s')) < 0.001,
    );
  }
});

test('HEAD and ranges of the WAV', async () => {
  const url = mvoice.url + (await speakSome());
  const whole = Buffer.from(await (await fetch(url)).arrayBuffer());
  const head = await fetch(url, { method: 'HEAD' });
  assert.equal(head.headers.get('content-length'), String(whole.length));
  assert.equal(head.headers.get('accept-ranges'), 'bytes');
  assert.equal((await head.arrayBuffer()).byteLength, 0);
  for (const [range, from, to] of [
    ['bytes=0-9', 0, 9],
    ['bytes=44-', 44, whole.length - 1],
    ['bytes=-5', whole.length - 5, whole.length - 1],
  ] as const) {
    const part = await fetch(url, { headers: { Range: range } });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get('content-range'), `bytes ${from}-${to}/${whole.length}`);
    assert.ok(Buffer.from(await part.arrayBuffer()).equals(whole.subarray(from, to + 1)));
  }
  const beyond = await fetch(url, { headers: { Range: `bytes=${whole.length}-` } });
  assert.equal(beyond.status, 416);
  assert.equal(beyond.headers.get('content-range'), `bytes */${whole.length}`);
});

test('only the newest 64 files are kept', async () => {
  const oldest = await speakSome();
  for (let file = 0; file < 64; file += 1) await speakSome();
  assert.equal((await fetch(mvoice.url + oldest)).status, 404);
});

test('bad requests get the answers of a FastAPI service', async () => {
  for (const [body, status] of [
    ['not json', 422],
    [{}, 422],
    [{ text: '  ' }, 422],
    [{ text: 'x'.repeat(5_000) }, 422],
    [{ text: 'x'.repeat(2_000_000) }, 413],
  ] as const) {
    const response = await speak(body);
    assert.equal(response.status, status);
    assert.notEqual(valueAt(await response.json(), 'detail'), undefined);
  }
  assert.equal((await fetch(`${mvoice.url}/v1/tts`)).status, 405);
  assert.deepEqual(await (await fetch(`${mvoice.url}/nothing`)).json(), { detail: 'Not Found' });
});

test('one synthesis at a time', async () => {
  const before = mvoice.work.length;
  await Promise.all([1, 2, 3, 4].map(() => speakSome()));
  const spans = mvoice.work.slice(before);
  assert.equal(spans.length, 4);
  for (const [index, span] of spans.slice(1).entries()) {
    assert.ok(span.startedAtMs >= (spans[index]?.endedAtMs ?? Number.POSITIVE_INFINITY));
  }
});

test('failures of its own: 500 with a detail, out of memory in PyTorch’s words', async () => {
  mvoice.fault = 'job-fails';
  assert.deepEqual(await (await speak({ text: 'x' })).json(), { detail: 'synthesis failed' });
  mvoice.fault = 'out-of-memory';
  const response = await speak({ text: 'x' });
  mvoice.fault = null;
  assert.equal(response.status, 500);
  assert.match(textAt(await response.json(), 'detail'), /^CUDA out of memory\. Tried to allocate 3\.61 GiB\./);
});
