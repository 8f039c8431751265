/** The stand-in for whisper-server hears the tones and answers as whisper.cpp does. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { speak } from '../../src/demo/media/tones.js';
import { writeWav } from '../../src/demo/media/wav.js';
import type { DemoService } from '../../src/demo/services/service.js';
import { startWhisperServer } from '../../src/demo/services/whisper-server.js';
import { listAt, numberAt, valueAt } from '../support/json-value.js';

const whisper = await startWhisperServer({ speed: 100 });
after(() => whisper.close());

const SENTENCE = 'Grüße an alle, die zuhören.';
const wav = new Uint8Array(writeWav(await speak(SENTENCE, new AbortController().signal)));

function transcribe(
  fields: Record<string, string> = {},
  audio: Uint8Array | null = wav,
  service: DemoService = whisper,
): Promise<Response> {
  const form = new FormData();
  if (audio !== null) form.set('file', new Blob([new Uint8Array(audio)]), 'speech.wav');
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  return fetch(`${service.url}/inference`, { method: 'POST', body: form });
}

for (const [format, contentType, body] of [
  ['json', 'application/json', `{"text":" ${SENTENCE}\\n"}`],
  ['unheard-of', 'application/json', `{"text":" ${SENTENCE}\\n"}`],
  ['text', 'text/html; charset=utf-8', ` ${SENTENCE}\n`],
  ['srt', 'application/x-subrip', `1\n00:00:00,0X0 --> 00:00:03,9X0\n ${SENTENCE}\n\n`],
  ['vtt', 'text/vtt', `WEBVTT\n\n00:00:00.0X0 --> 00:00:03.9X0\n ${SENTENCE}\n\n`],
] as const) {
  test(`the sentence comes back as ${format}`, async () => {
    const response = await transcribe({ response_format: format });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), contentType);
    const text = await response.text();
    // Time stamps depend on where the start tone was met, to some hundredths of a second.
    assert.equal(text.replaceAll(/\d\d([,.])(\d)\d\d/g, 'SS$1MMM'), body.replaceAll(/\d\d([,.])(\d)X0/g, 'SS$1MMM'));
  });
}

test('verbose_json has the fields of whisper.cpp; the language costs an option', async () => {
  const full = await (await transcribe({ response_format: 'verbose_json' })).json();
  assert.deepEqual(
    ['task', 'language', 'text'].map((field) => valueAt(full, field)),
    ['transcribe', 'english', ` ${SENTENCE}\n`],
  );
  assert.ok(Math.abs(numberAt(full, 'duration') - (wav.length - 44) / 32_000) < 0.01);
  assert.equal(listAt(full, 'segments').length, 1);
  assert.equal(listAt(full, 'segments', 0, 'words').length, SENTENCE.split(' ').length);
  assert.deepEqual(valueAt(full, 'language_probabilities'), { en: 0.99 });
  const plain = await (await transcribe({ response_format: 'verbose_json', no_language_probabilities: 'true' })).json();
  assert.equal(valueAt(plain, 'language_probabilities'), undefined);
});

test('headers are the real server’s: its name, no date, five idle seconds, a hundred requests', async () => {
  const { headers } = await transcribe();
  assert.equal(headers.get('server'), 'whisper.cpp');
  assert.equal(headers.get('access-control-allow-origin'), '*');
  assert.equal(headers.get('date'), null);
  assert.equal(headers.get('keep-alive'), 'timeout=5, max=100');
  assert.ok(headers.has('content-length'));
});

test('what is no audio gets the plain-text 400', async () => {
  const json = fetch(`${whisper.url}/inference`, { method: 'POST', body: '{"file":"x"}' });
  for (const response of [
    await transcribe({}, null),
    await transcribe({}, Buffer.from('junk')),
    await transcribe({}, wav.subarray(0, 44)),
    await json,
  ]) {
    assert.equal(response.status, 400);
    assert.equal(response.headers.get('content-type'), 'text/plain');
    assert.equal(await response.text(), 'Invalid request');
  }
});

test('a number that is none gets the 500 of the real parser', async () => {
  const response = await transcribe({ temperature: 'abc' });
  assert.equal(response.status, 500);
  assert.equal(await response.text(), '500 Internal Server Error\nstof');
});

test('audio without tones is not made up: blank, or not understood', async () => {
  const silence = writeWav({ sampleRateHz: 16_000, samples: new Float32Array(8_000) });
  assert.deepEqual(await (await transcribe({}, silence)).json(), { text: ' [BLANK_AUDIO]\n' });
  const hum = writeWav({
    sampleRateHz: 16_000,
    samples: Float32Array.from({ length: 8_000 }, (_, at) => Math.sin(at / 9)),
  });
  assert.deepEqual(await (await transcribe({}, hum)).json(), { text: ' [tones not understood]\n' });
});

test('health, an unknown path, and no route of its own for models', async () => {
  assert.deepEqual(await (await fetch(`${whisper.url}/health`)).json(), { status: 'ok' });
  const unknown = await fetch(`${whisper.url}/v1/models`);
  assert.deepEqual([unknown.status, await unknown.text()], [404, 'File Not Found (/v1/models)']);
});

test('one inference at a time', async () => {
  const before = whisper.work.length;
  await Promise.all([1, 2, 3].map(async () => (await transcribe()).text()));
  const spans = whisper.work.slice(before);
  assert.equal(spans.length, 3);
  for (const [index, span] of spans.slice(1).entries()) {
    assert.ok(span.startedAtMs >= (spans[index]?.endedAtMs ?? Number.POSITIVE_INFINITY));
  }
});

test('eight open connections hold all its threads: health waits for one of them to close', async () => {
  const service = await startWhisperServer({ speed: 100 });
  try {
    const idle = Array.from({ length: 8 }, () => connect(service.port, '127.0.0.1'));
    await Promise.all(idle.map((socket) => once(socket, 'connect')));
    const health = request(`${service.url}/health`, { agent: false }).end();
    await service.until(() => service.seen.length === 1);
    // Whoever has a thread is answered, whatever else waits.
    const [first] = idle;
    assert.ok(first !== undefined);
    first.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.match(String((await once(first, 'data'))[0]), /^HTTP\/1\.1 200 OK/);
    assert.equal(service.seen[0]?.endedAtMs, null);
    first.destroy();
    const [answer] = await once(health, 'response');
    assert.equal(answer.statusCode, 200);
  } finally {
    await service.close();
  }
});

test('the port is closed until the model is loaded', async () => {
  const placeholder = createServer();
  placeholder.listen(0, '127.0.0.1');
  await once(placeholder, 'listening');
  const address = placeholder.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  placeholder.close();
  await once(placeholder, 'close');
  const starting = startWhisperServer({ speed: 2, port });
  const early = connect(port, '127.0.0.1');
  const [error] = await once(early, 'error');
  assert.equal(error.code, 'ECONNREFUSED');
  const service = await starting;
  assert.equal((await fetch(`${service.url}/health`)).status, 200);
  await service.close();
});

test('POST /load: good, missing (health stays 404 while jobs work), and no model (the program ends)', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'demo-whisper-test-'));
  const exits: number[] = [];
  const service = await startWhisperServer({ speed: 100, exit: (code) => exits.push(code) });
  const load = async (path: string): Promise<Response> => {
    const form = new FormData();
    form.set('model', path);
    return fetch(`${service.url}/load`, { method: 'POST', body: form });
  };
  try {
    const missing = await load(join(folder, 'missing.bin'));
    assert.deepEqual([missing.status, await missing.text()], [400, 'Invalid request']);
    const health = await fetch(`${service.url}/health`);
    assert.deepEqual([health.status, await health.text()], [404, 'File Not Found (/health)']);
    assert.equal((await transcribe({}, wav, service)).status, 200);
    await writeFile(join(folder, 'model.bin'), 'lmgg and more');
    const good = await load(join(folder, 'model.bin'));
    assert.deepEqual(
      [good.status, good.headers.get('content-type'), await good.text()],
      [200, 'application/text', 'Load was successful!'],
    );
    assert.equal((await fetch(`${service.url}/health`)).status, 200);
    await writeFile(join(folder, 'text.bin'), 'hello');
    await assert.rejects(load(join(folder, 'text.bin')));
    assert.deepEqual(exits, [1]);
  } finally {
    await service.close();
    await rm(folder, { recursive: true });
  }
});

test('a failed job is the real server’s 500', async () => {
  whisper.fault = 'job-fails';
  const response = await transcribe();
  whisper.fault = null;
  assert.deepEqual([response.status, await response.json()], [500, { error: 'failed to process audio' }]);
});
