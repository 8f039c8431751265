import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embedMany, experimental_generateImage as generateImage, generateText, streamText } from 'ai';
import { BASE, BREAKS, CHATS, PAINTERS, whileBroken } from './broker.mjs';

const provider = createOpenAICompatible({ name: 'broker', baseURL: BASE, includeUsage: true });

for (const name of CHATS) {
  test(`${name}: text, whole and streamed`, async () => {
    const whole = await generateText({ model: provider(name), prompt: 'hello', maxOutputTokens: 8 });
    assert.ok(whole.text.length > 0);
    const { textStream, finishReason, usage } = streamText({
      model: provider(name),
      prompt: 'hello',
      maxOutputTokens: 8,
    });
    let text = '';
    for await (const piece of textStream) text += piece;
    assert.ok(text.length > 0);
    assert.match(await finishReason, /^(stop|length)$/);
    assert.ok((await usage).totalTokens > 0);
  });

  test(`${name}: embeddings`, async () => {
    const { embeddings } = await embedMany({ model: provider.textEmbeddingModel(name), values: ['a', 'b'] });
    assert.deepEqual([embeddings.length, embeddings[0].length], [2, 64]);
  });
}

for (const name of PAINTERS) {
  test(`${name}: pictures`, async () => {
    const asked = { model: provider.imageModel(name), prompt: 'a boat', n: 2, size: '64x64' };
    const { images } = await generateImage(asked);
    assert.deepEqual(
      images.map(({ mediaType }) => mediaType),
      ['image/png', 'image/png'],
    );
  });
}

for (const { fault, model } of BREAKS) {
  test(`${model}: a stream that breaks (${fault}) ends with an error`, async () => {
    await whileBroken(fault, async () => {
      const errors = [];
      const { fullStream } = streamText({
        model: provider(model),
        prompt: 'hello',
        maxRetries: 0,
        onError: ({ error }) => errors.push(error),
      });
      // A part of the stream says so, or reading it throws: both reach who asked.
      try {
        for await (const _ of fullStream);
      } catch (error) {
        errors.push(error);
      }
      assert.ok(errors.length > 0);
    });
  });
}
