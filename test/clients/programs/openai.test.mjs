import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { test } from 'node:test';
import OpenAI, { APIError, NotFoundError, toFile } from 'openai';
import {
  BASE,
  BREAKS,
  CHATS,
  HELLO,
  PAINTERS,
  ROOT,
  SOUND,
  sound,
  TRANSCRIBERS,
  untilIdle,
  whileBroken,
} from './broker.mjs';

const LEAVES = 200;
const OF_OLLAMA = 'llama3.2:3b';
const client = new OpenAI({ baseURL: BASE, apiKey: 'none', maxRetries: 0 });

test('models are listed, with and without /v1, and had one by one', async () => {
  const ids = [];
  for await (const model of client.models.list()) {
    assert.deepEqual([typeof model.created, model.object], ['number', 'model']);
    ids.push(model.id);
  }
  for (const id of ['chat-model', 'whisper-1', 'qwen3:8b', 'small.gguf']) assert.ok(ids.includes(id), id);
  assert.equal((await client.models.retrieve('qwen3:8b')).id, 'qwen3:8b');
  const plain = new OpenAI({ baseURL: ROOT, apiKey: 'x' });
  assert.equal((await plain.models.retrieve('chat-model')).owned_by, 'llama');
  await assert.rejects(
    client.models.retrieve('nope'),
    (error) => error instanceof NotFoundError && error.code === 'model_not_found',
  );
});

for (const model of CHATS) {
  test(`${model}: a chat, whole`, async () => {
    const answer = await client.chat.completions.create({ model, messages: HELLO, max_tokens: 8 });
    assert.equal(answer.object, 'chat.completion');
    assert.ok(answer.choices[0].message.content.length > 0);
    assert.ok(answer.usage.total_tokens > 0);
    assert.match(answer._request_id, /^j_/);
  });

  test(`${model}: a chat, streamed, with usage`, async () => {
    const stream = await client.chat.completions.create({
      model,
      messages: HELLO,
      max_tokens: 8,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let usage = 0;
    let finish = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      finish ??= chunk.choices[0]?.finish_reason ?? null;
      if (chunk.choices.length === 0) usage += 1;
    }
    assert.ok(text.length > 0);
    assert.deepEqual([usage, typeof finish], [1, 'string']);
  });

  test(`${model}: embeddings, as the library asks for them and as numbers`, async () => {
    const input = ['a', 'b'];
    const packed = await client.embeddings.create({ model, input });
    const plain = await client.embeddings.create({ model, input, encoding_format: 'float' });
    assert.equal(packed.data.length, 2);
    assert.equal(packed.data[0].embedding.length, 64);
    for (const [at, value] of plain.data[1].embedding.entries())
      assert.ok(Math.abs(value - packed.data[1].embedding[at]) < 1e-5);
  });
}

/** Sorted: how long the card stays taken after a client left behind its first piece. */
async function leave(t, model, times) {
  const tookMs = [];
  for (let round = 0; round < times; round += 1) {
    const stream = await client.chat.completions.create({ model, messages: HELLO, stream: true });
    for await (const _ of stream) break;
    const leftAt = performance.now();
    await untilIdle();
    tookMs.push(performance.now() - leftAt);
  }
  tookMs.sort((a, b) => a - b);
  t.diagnostic(`p50 ${tookMs[times >> 1].toFixed(0)} ms, longest ${tookMs.at(-1).toFixed(0)} ms`);
  return tookMs;
}

for (const model of CHATS.filter((name) => name !== OF_OLLAMA)) {
  test(`${model}: leaving a stream after its first piece frees the card within a second, ${LEAVES} times`, async (t) => {
    const tookMs = await leave(t, model, LEAVES);
    assert.ok(tookMs.at(-1) < 1000, `${tookMs.at(-1)} ms`);
  });
}

// ollama's child needs up to a second to notice, and nothing that ollama says shows when it did: `/api/ps` tells of
// ollama's own end of the request, which comes before. So its kind takes that second, and the card comes back after it.
test(`${OF_OLLAMA}: leaving frees the card when its kind's second is over, ${LEAVES / 10} times`, async (t) => {
  const tookMs = await leave(t, OF_OLLAMA, LEAVES / 10);
  assert.ok(tookMs[0] > 900 && tookMs.at(-1) < 1500, `${tookMs[0]} to ${tookMs.at(-1)} ms`);
});

test('a completion', async () => {
  const answer = await client.completions.create({ model: 'chat-model', prompt: 'hello', max_tokens: 4 });
  assert.equal(answer.object, 'text_completion');
});

test('responses, whole and streamed, and one that follows another', async () => {
  const model = 'llama3.2:3b';
  const first = await client.responses.create({ model, input: 'hello', max_output_tokens: 5 });
  assert.deepEqual([first.object, first.status], ['response', 'incomplete']);
  assert.ok(first.output_text.length > 0);
  const follow = { input: 'and?', previous_response_id: first.id };
  const types = [];
  for await (const { type } of await client.responses.create({ model, ...follow, stream: true })) types.push(type);
  assert.deepEqual([types[0], types.at(-1)], ['response.created', 'response.completed']);
  await assert.rejects(client.responses.create({ model: 'chat-model', ...follow }), {
    status: 400,
    param: 'previous_response_id',
  });
});

for (const { fault, model } of BREAKS) {
  test(`${model}: a stream that breaks (${fault}) is an exception, not a short answer`, async () => {
    await whileBroken(fault, async () => {
      await assert.rejects(async () => {
        const stream = await client.chat.completions.create({ model, messages: HELLO, stream: true });
        for await (const _ of stream);
      }, APIError);
    });
  });
}

test('an unknown model is not found, and its error is whole', async () => {
  await assert.rejects(client.chat.completions.create({ model: 'chat-modle', messages: HELLO }), (error) => {
    assert.ok(error instanceof NotFoundError);
    assert.deepEqual([error.status, error.code, error.param], [404, 'model_not_found', 'model']);
    assert.match(error.message, /did you mean "chat-model"/);
    return true;
  });
});

for (const model of TRANSCRIBERS) {
  test(`${model}: transcriptions in all five formats, from a stream and from memory`, async () => {
    const json = await client.audio.transcriptions.create({ file: createReadStream(SOUND), model });
    assert.equal(typeof json.text, 'string');
    const file = () => toFile(sound(), 'blob');
    for (const response_format of ['text', 'srt', 'vtt']) {
      const text = await client.audio.transcriptions.create({ file: await file(), model, response_format });
      assert.equal(typeof text, 'string', response_format);
    }
    const verbose = await client.audio.transcriptions.create({
      ...{ file: await file(), model, response_format: 'verbose_json' },
      timestamp_granularities: ['word', 'segment'],
    });
    assert.deepEqual([typeof verbose.language, typeof verbose.duration], ['string', 'number']);
    assert.ok(verbose.words.length > 0 && verbose.segments.length > 0);
    assert.equal(typeof (await client.audio.translations.create({ file: await file(), model })).text, 'string');
  });
}

test('speech as WAV', async () => {
  const answer = await client.audio.speech.create({
    model: 'tts-1',
    voice: 'alloy',
    input: 'hi',
    response_format: 'wav',
  });
  const bytes = Buffer.from(await answer.arrayBuffer());
  assert.equal(answer.headers.get('content-type'), 'audio/wav');
  assert.equal(bytes.toString('latin1', 0, 4), 'RIFF');
});

/** The first bytes of each format, and what its type may be. */
const FORMATS = {
  mp3: [/^(ID3|\xff[\xe0-\xff])/, /^audio\/mpeg$/],
  opus: [/^OggS/, /^audio\/(opus|ogg)/],
  aac: [/^\xff[\xf0-\xff]/, /^audio\/aac$/],
  flac: [/^fLaC/, /^audio\/flac$/],
  pcm: [/^(?!RIFF)/, /^audio\/pcm/],
};

for (const [response_format, [mark, type]] of Object.entries(FORMATS)) {
  test(`speech as ${response_format}: made by ffmpeg, or refused in words where there is none`, async () => {
    const asked = client.audio.speech.create({ model: 'tts-1', voice: 'alloy', input: 'hi', response_format });
    let bytes;
    let told;
    try {
      const answer = await asked;
      told = answer.headers.get('content-type');
      bytes = Buffer.from(await answer.arrayBuffer());
    } catch (error) {
      assert.deepEqual([error.status, error.param], [400, 'response_format']);
      assert.match(error.message, /ffmpeg/);
      return;
    }
    assert.ok(bytes.length > 1000);
    assert.match(bytes.toString('latin1', 0, 4), mark);
    assert.match(told, type);
  });
}

for (const model of PAINTERS) {
  test(`${model}: pictures, in the answer and by address`, async () => {
    const asked = { model, prompt: 'a boat', size: '64x64' };
    const { data } = await client.images.generate({ ...asked, n: 2 });
    assert.deepEqual(
      data.map(({ b64_json }) => Buffer.from(b64_json, 'base64').toString('latin1', 1, 4)),
      ['PNG', 'PNG'],
    );
    const byAddress = await client.images.generate({ ...asked, response_format: 'url' });
    const file = await fetch(byAddress.data[0].url);
    assert.deepEqual([file.status, file.headers.get('content-type')], [200, 'image/png']);
  });

  test(`${model}: pictures as events`, async () => {
    const seen = [];
    const stream = await client.images.generate({ model, prompt: 'a boat', size: '64x64', stream: true });
    for await (const { type, b64_json } of stream) seen.push([type, Buffer.from(b64_json, 'base64').length > 100]);
    assert.deepEqual(seen, [['image_generation.completed', true]]);
  });
}
