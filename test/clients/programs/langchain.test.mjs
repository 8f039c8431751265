import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { BASE, BREAKS, CHATS, whileBroken } from './broker.mjs';

const options = (model) => ({ model, apiKey: 'none', maxRetries: 0, configuration: { baseURL: BASE } });

for (const model of CHATS) {
  test(`${model}: a chat, whole and streamed`, async () => {
    const chat = new ChatOpenAI({ ...options(model), maxTokens: 8 });
    assert.ok(String((await chat.invoke('hello')).content).length > 0);
    let text = '';
    for await (const chunk of await chat.stream('hello')) text += chunk.content;
    assert.ok(text.length > 0);
  });

  test(`${model}: embeddings`, async () => {
    const vectors = await new OpenAIEmbeddings(options(model)).embedDocuments(['a', 'b']);
    assert.deepEqual([vectors.length, vectors[0].length], [2, 64]);
  });
}

for (const { fault, model } of BREAKS) {
  test(`${model}: a stream that breaks (${fault}) is an exception`, async () => {
    await whileBroken(fault, async () => {
      await assert.rejects(async () => {
        for await (const _ of await new ChatOpenAI(options(model)).stream('hello'));
      });
    });
  });
}
