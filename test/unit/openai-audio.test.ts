import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { type TestContext, test } from 'node:test';
import { speak } from '../../src/demo/media/tones.js';
import { readWav, writeWav } from '../../src/demo/media/wav.js';
import { startMvoice } from '../../src/demo/services/mvoice.js';
import { startWhisperServer } from '../../src/demo/services/whisper-server.js';
import { readForm } from '../../src/openai/form.js';
import { bodyOf } from '../support/body-source.js';
import { openBroker, untilAllUp } from '../support/open-broker.js';
import { openStandIn } from '../support/stand-in.js';

const errorOf = (text: string) => JSON.parse(text).error;

interface BinaryAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: Buffer;
}

/** A request whose body is written in pieces, with or without a length. */
async function send(
  port: number,
  path: string,
  type: string,
  pieces: readonly Buffer[],
  length: number | null,
): Promise<BinaryAnswer> {
  const framing = length === null ? { 'transfer-encoding': 'chunked' } : { 'content-length': length };
  const req = request({
    host: '127.0.0.1',
    port,
    path,
    method: 'POST',
    headers: { 'content-type': type, ...framing },
    agent: false,
  });
  const answered = once(req, 'response');
  for (const piece of pieces) req.write(piece);
  req.end();
  const [res] = await answered;
  const chunks: Buffer[] = [];
  for await (const chunk of res) chunks.push(chunk);
  return { status: res.statusCode, type: String(res.headers['content-type']), body: Buffer.concat(chunks) };
}

const BOUNDARY = 'openai-boundary';
const TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

function formOf(parts: readonly (readonly [string, string | Buffer])[]): Buffer {
  const pieces = parts.flatMap(([name, value]) => {
    const file =
      typeof value === 'string' ? '' : '; filename="a %22b%22 ü.wav"\r\nContent-Type: application/octet-stream';
    return [
      Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`),
      Buffer.from(value),
      Buffer.from('\r\n'),
    ];
  });
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

async function openWhisper(t: TestContext) {
  const whisper = await startWhisperServer({ speed: 50 });
  t.after(() => whisper.close());
  const broker = await openBroker(t, {
    routes: { stt: 'whisper' },
    consumers: { whisper: { kind: 'whisper-server', url: whisper.url } },
    aliases: { 'whisper-1': 'whisper' },
  });
  await untilAllUp(broker);
  const sound = writeWav(await speak('hi there', new AbortController().signal));
  const ask = (fields: readonly (readonly [string, string])[], path = '/v1/audio/transcriptions') => {
    const form = formOf([['file', sound], ...fields, ['model', 'whisper-1']]);
    return send(broker.port, path, TYPE, [form], form.length);
  };
  return { broker, ask };
}

test('all five formats of a transcription have the type and the form that clients expect', {
  timeout: 60_000,
}, async (t) => {
  const { ask } = await openWhisper(t);
  const expected: readonly [string, RegExp, RegExp][] = [
    ['json', /^application\/json/, /^\{"text":"hi there"\}$/],
    ['text', /^text\/plain/, /^hi there\n$/],
    ['srt', /^application\/x-subrip/, /^1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\n hi there\n/],
    ['vtt', /^text\/vtt/, /^WEBVTT\n\n00:00:0\d\.\d{3} --> /],
    ['verbose_json', /^application\/json/, /"duration":/],
  ];
  for (const [format, type, text] of expected) {
    const { status, type: told, body } = await ask([['response_format', format]]);
    assert.equal(status, 200);
    assert.match(told, type);
    assert.match(body.toString(), text);
  }
});

test('words stand at the top when they are asked for, with and without brackets; segments have none inside', {
  timeout: 60_000,
}, async (t) => {
  const { ask } = await openWhisper(t);
  for (const name of ['timestamp_granularities[]', 'timestamp_granularities']) {
    const both = JSON.parse(
      (
        await ask([
          ['response_format', 'verbose_json'],
          [name, 'word'],
          [name, 'segment'],
        ])
      ).body.toString(),
    );
    assert.deepEqual(
      both.words.map(({ word }: { word: string }) => word),
      ['hi', 'there'],
    );
    assert.deepEqual(
      [both.segments.length, both.segments[0].words, typeof both.language, typeof both.duration],
      [1, undefined, 'string', 'number'],
    );
  }
  const only = JSON.parse(
    (
      await ask([
        ['response_format', 'verbose_json'],
        ['timestamp_granularities[]', 'word'],
      ])
    ).body.toString(),
  );
  assert.deepEqual([only.words.length, only.segments], [2, undefined]);
  const plain = JSON.parse((await ask([['response_format', 'verbose_json']])).body.toString());
  assert.deepEqual([plain.words, plain.segments.length], [undefined, 1]);
});

test('wishes that cannot be granted: 400 with the name of the field', async (t) => {
  const { ask, broker } = await openWhisper(t);
  const wrong: readonly (readonly [readonly (readonly [string, string])[], string])[] = [
    [[['response_format', 'diarized_json']], 'response_format'],
    [[['timestamp_granularities[]', 'word']], 'timestamp_granularities'],
    [
      [
        ['response_format', 'verbose_json'],
        ['timestamp_granularities[]', 'phrase'],
      ],
      'timestamp_granularities',
    ],
  ];
  for (const [fields, param] of wrong) {
    const { status, body } = await ask(fields);
    assert.deepEqual([status, errorOf(body.toString()).param], [400, param]);
  }
  const noFile = formOf([['model', 'whisper-1']]);
  const { status, body } = await send(broker.port, '/v1/audio/transcriptions', TYPE, [noFile], noFile.length);
  assert.deepEqual([status, errorOf(body.toString()).param], [400, 'file']);
  const unknown = formOf([
    ['file', Buffer.from('x')],
    ['model', 'whisper-2'],
  ]);
  const nobody = await send(broker.port, '/v1/audio/transcriptions', TYPE, [unknown], unknown.length);
  assert.deepEqual([nobody.status, errorOf(nobody.body.toString()).code], [404, 'model_not_found']);
  assert.match(errorOf(nobody.body.toString()).message, /did you mean "whisper-1"/);
});

test('a form arrives byte for byte however it was sent; a translation says so in a field', {
  timeout: 60_000,
}, async (t) => {
  const forms: { hash: string; fields: [string, string][]; framing: (string | undefined)[] }[] = [];
  const service = await openStandIn(t, ({ req, res, body }) => {
    if (req.method !== 'POST') return void res.end('{}');
    void body.then(async (bytes) => {
      const form = await new Response(new Uint8Array(bytes), {
        headers: { 'content-type': req.headers['content-type'] ?? '' },
      }).formData();
      const fields: [string, string][] = [];
      let hash = '';
      for (const [name, value] of form) {
        if (typeof value === 'string') fields.push([name, value]);
        else
          hash = createHash('sha256')
            .update(Buffer.from(await value.arrayBuffer()))
            .digest('hex');
      }
      forms.push({ hash, fields, framing: [req.headers['content-length'], req.headers['transfer-encoding']] });
      res.setHeader('content-type', 'application/json').end('{"text":" ok\\n"}');
    });
  });
  const broker = await openBroker(t, {
    routes: { stt: 'stt' },
    consumers: { stt: { kind: 'whisper-server', url: service.url } },
  });
  await untilAllUp(broker);
  const file = Buffer.concat([
    randomBytes(1024 * 1024),
    Buffer.alloc(1024),
    Buffer.from(`\r\n\r\n--open\r\n--${BOUNDARY.slice(0, -1)}\r\n`),
    randomBytes(1024 * 1024),
  ]);
  const hash = createHash('sha256').update(file).digest('hex');
  const form = formOf([
    ['language', 'de'],
    ['file', file],
    ['response_format', 'json'],
    ['prompt', 'über'],
    ['x[]', '1'],
    ['x[]', '2'],
  ]);
  const small = Array.from({ length: Math.ceil(form.length / 1000) }, (_, at) =>
    form.subarray(at * 1000, (at + 1) * 1000),
  );
  const ways: readonly [readonly Buffer[], number | null][] = [
    [[form], form.length],
    [small, null],
    [[form.subarray(0, 7), form.subarray(7)], null],
    [[form.subarray(0, 100_000), form.subarray(100_000)], form.length],
  ];
  for (const path of ['/v1/audio/transcriptions', '/audio/translations']) {
    for (const [pieces, length] of ways) {
      const { status, body } = await send(broker.port, path, TYPE, pieces, length);
      assert.deepEqual([status, body.toString()], [200, '{"text":"ok"}']);
      const seen = forms.at(-1);
      const more = path.endsWith('translations') ? [['translate', 'true']] : [];
      assert.equal(seen?.hash, hash);
      assert.deepEqual(seen?.fields, [
        ['language', 'de'],
        ['response_format', 'json'],
        ['prompt', 'über'],
        ['x[]', '1'],
        ['x[]', '2'],
        ...more,
      ]);
      assert.equal(seen?.framing[1], undefined);
      assert.ok(Number(seen?.framing[0]) >= form.length);
    }
  }
});

test('a form that breaks off or is none gives no request at the service', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('{}'));
  const broker = await openBroker(t, {
    routes: { stt: 'stt' },
    consumers: { stt: { kind: 'whisper-server', url: service.url } },
  });
  await untilAllUp(broker);
  const half = formOf([['file', Buffer.from('sound')]]).subarray(0, -10);
  for (const [type, bytes] of [
    [TYPE, half],
    ['application/json', Buffer.from('{}')],
    [TYPE, Buffer.from('nonsense')],
  ] as const) {
    const { status, body } = await send(broker.port, '/v1/audio/transcriptions', type, [bytes], bytes.length);
    assert.deepEqual([status, errorOf(body.toString()).code], [400, 'bad_request']);
  }
  assert.deepEqual(
    service.calls.filter(({ req }) => req.method === 'POST'),
    [],
  );
});

test('a form is read the same, however its bytes are cut', async () => {
  const form = formOf([
    ['file', Buffer.from(`\r\n--${BOUNDARY.slice(0, -1)}\r\n--${BOUNDARY}y`)],
    ['model', 'm'],
    ['empty', ''],
  ]);
  const whole = await readForm({ ...bodyOf(form), inMemory: form, release() {} }, TYPE);
  for (let pieceBytes = 1; pieceBytes < 40; pieceBytes += 1) {
    const cut = await readForm({ ...bodyOf(form, pieceBytes), inMemory: null, release() {} }, TYPE);
    assert.deepEqual(cut, whole);
  }
  assert.deepEqual(
    whole.parts.map(({ name, value, isFile }) => [name, value, isFile]),
    [
      ['file', null, true],
      ['model', 'm', false],
      ['empty', '', false],
    ],
  );
});

async function openSpeech(t: TestContext) {
  const mvoice = await startMvoice({ speed: 50 });
  t.after(() => mvoice.close());
  const broker = await openBroker(t, {
    routes: { tts: 'mvoice' },
    consumers: {
      mvoice: {
        ...{ kind: 'http', url: mvoice.url, health: '/health', paths: { tts: '/v1/tts' } },
        ...{ speech: { text: 'text', audio: 'audio' }, voices: { alloy: 'tones' }, default_voice: 'tones' },
      },
    },
    aliases: { 'tts-1': 'mvoice' },
  });
  await untilAllUp(broker);
  const ask = (more: object, path = '/v1/audio/speech') => {
    const bytes = Buffer.from(JSON.stringify({ model: 'tts-1', input: 'hi', voice: 'alloy', ...more }));
    return send(broker.port, path, 'application/json', [bytes], bytes.length);
  };
  return { broker, mvoice, ask };
}

test('a service that answers JSON with the path of a WAV serves speech', async (t) => {
  const { ask } = await openSpeech(t);
  const { status, type, body } = await ask({ response_format: 'wav', voice: { id: 'nova' } });
  assert.deepEqual([status, type], [200, 'audio/wav']);
  assert.notEqual(readWav(body), null);
});

test('a format that does not exist, or a text that is missing: 400 with the name of the field', async (t) => {
  const { ask, mvoice } = await openSpeech(t);
  for (const [more, param] of [
    [{ response_format: 'midi' }, 'response_format'],
    [{ input: undefined }, 'input'],
  ] as const) {
    const { status, body } = await ask(more);
    assert.deepEqual([status, errorOf(body.toString()).param], [400, param]);
  }
  assert.equal(mvoice.work.length, 0);
});

test('a failure of the service before the first byte is JSON with a status', async (t) => {
  const { ask, mvoice } = await openSpeech(t);
  mvoice.fault = 'job-fails';
  mvoice.faultPaths = /tts/;
  const { status, type, body } = await ask({ response_format: 'wav' });
  assert.equal(status, 500);
  assert.match(type, /^application\/json/);
  assert.equal(errorOf(body.toString()).message, 'synthesis failed');
});

test('voices and models of speech are listed from the configuration', async (t) => {
  const { broker } = await openSpeech(t);
  const { text } = await broker.call('/v1/audio/voices');
  assert.deepEqual(JSON.parse(text), { voices: [{ id: 'alloy', name: 'alloy' }] });
  assert.deepEqual(JSON.parse((await broker.call('/audio/models')).text), {
    models: [{ id: 'tts-1' }, { id: 'mvoice' }],
  });
});

test('a service that speaks the API gets its own names for model and voice, and its sound goes through', async (t) => {
  const sound = randomBytes(50_000);
  const bodies: string[] = [];
  const service = await openStandIn(t, ({ req, res, body }) => {
    if (req.method !== 'POST') return void res.end('{"data":[]}');
    void body.then((bytes) => {
      bodies.push(bytes.toString());
      res.setHeader('content-type', 'audio/mpeg').end(sound);
    });
  });
  const broker = await openBroker(t, {
    routes: { tts: 'kokoro' },
    consumers: { kokoro: { kind: 'openai', url: service.url, voices: { alloy: 'af_heart' }, default_voice: 'af_sky' } },
    aliases: { 'tts-1': 'kokoro/kokoro' },
  });
  await untilAllUp(broker);
  const ask = async (text: string) => {
    const { status, type, body } = await send(
      broker.port,
      '/v1/audio/speech',
      'application/json',
      [Buffer.from(text)],
      Buffer.byteLength(text),
    );
    assert.deepEqual([status, type, body.equals(sound)], [200, 'audio/mpeg', true]);
    return bodies.at(-1);
  };
  assert.equal(
    await ask('{"model":"tts-1", "input":"a","voice":"alloy","speed":1.0}'),
    '{"model":"kokoro", "input":"a","voice":"af_heart","speed":1.0}',
  );
  assert.equal(
    await ask('{"model":"tts-1","input":"a","voice":"onyx"}'),
    '{"model":"kokoro","input":"a","voice":"af_sky"}',
  );
  assert.equal(await ask('{"input":"a"}'), '{"input":"a","voice":"af_sky"}');
});
