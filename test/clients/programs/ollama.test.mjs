import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ollama } from 'ollama';
import { FAULTS_OF_STREAMS, HELLO, ROOT, whileBroken } from './broker.mjs';

const client = new Ollama({ host: `${ROOT}/consumers/ollama` });

test("models, a chat, and an unknown name, through the consumer's own interface", async () => {
  const { models } = await client.list();
  assert.ok(models.some(({ name }) => name === 'qwen3:8b'));
  let text = '';
  for await (const { message } of await client.chat({ model: 'llama3.2:3b', messages: HELLO, stream: true }))
    text += message.content;
  assert.ok(text.length > 0);
  await assert.rejects(client.chat({ model: 'nope', messages: HELLO }), /model 'nope:?\w*' not found/);
});

for (const fault of FAULTS_OF_STREAMS) {
  test(`a stream that breaks (${fault}) is an exception, not a short answer`, async () => {
    await whileBroken(fault, async () => {
      await assert.rejects(async () => {
        for await (const _ of await client.chat({ model: 'llama3.2:3b', messages: HELLO, stream: true }));
      });
    });
  });
}
