/**
 * The service's process is killed (SIGKILL) in the middle of its answer: every library raises an error, none returns a
 * short answer as a whole one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, streamText } from 'ai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { BASE, control, HELLO, MORTALS, ROOT, untilRunning } from './broker.mjs';

/**
 * Each way to ask: `heard` is called with every piece of text, `fetch` is the library's way out; returns what the
 * library gives as its answer.
 */
const openai = {
  async streamed({ model, fetch, heard }) {
    const client = new OpenAI({ baseURL: BASE, apiKey: 'none', maxRetries: 0, fetch });
    for await (const { choices } of await client.chat.completions.create({ model, messages: HELLO, stream: true }))
      await heard(choices[0]?.delta.content ?? '');
  },
  async 'streamed, by its helper'({ model, fetch, heard }) {
    const client = new OpenAI({ baseURL: BASE, apiKey: 'none', maxRetries: 0, fetch });
    const stream = client.chat.completions.stream({ model, messages: HELLO });
    for await (const { choices } of stream) await heard(choices[0]?.delta.content ?? '');
    return stream.finalContent();
  },
  async whole({ model, fetch }) {
    const client = new OpenAI({ baseURL: BASE, apiKey: 'none', maxRetries: 0, fetch });
    return client.chat.completions.create({ model, messages: HELLO });
  },
};
const ai = {
  async streamed({ model, fetch, heard }) {
    const provider = createOpenAICompatible({ name: 'broker', baseURL: BASE, fetch });
    const { fullStream } = streamText({ model: provider(model), prompt: 'hello', maxRetries: 0, onError() {} });
    for await (const part of fullStream) {
      // Those who read its stream get a part instead of an exception; what the broker said is an object there.
      if (part.type === 'error') throw part.error instanceof Error ? part.error : new Error(part.error.message);
      if (part.type === 'text-delta') await heard(part.text);
    }
  },
  async whole({ model, fetch }) {
    const provider = createOpenAICompatible({ name: 'broker', baseURL: BASE, fetch });
    return (await generateText({ model: provider(model), prompt: 'hello', maxRetries: 0 })).text;
  },
};
const chat = ({ model, fetch }) =>
  new ChatOpenAI({ model, apiKey: 'none', maxRetries: 0, configuration: { baseURL: BASE, fetch } });
const langchain = {
  async streamed({ heard, ...way }) {
    for await (const { content } of await chat(way).stream('hello')) await heard(content);
  },
  async whole(way) {
    return (await chat(way).invoke('hello')).content;
  },
};
const ollama = {
  async streamed({ model, consumer, fetch, heard }) {
    const client = new Ollama({ host: `${ROOT}/consumers/${consumer}`, fetch });
    for await (const { message } of await client.chat({ model, messages: HELLO, stream: true }))
      await heard(message.content);
  },
  async whole({ model, consumer, fetch }) {
    return (await new Ollama({ host: `${ROOT}/consumers/${consumer}`, fetch }).chat({ model, messages: HELLO }))
      .message;
  },
};
const OVER_V1 = { openai, ai, langchain };
const NAMES = { 'mortal-llama': 'small.gguf', 'mortal-ollama': 'llama3.2:3b', 'mortal-real': 'any' };

const CASES = MORTALS.flatMap((consumer) => {
  const model = `${consumer}/${NAMES[consumer]}`;
  const cases = Object.entries(OVER_V1).map(([library, ways]) => ({ library, ways, consumer, model }));
  if (consumer !== 'mortal-ollama') return cases;
  return [...cases, { library: 'ollama', ways: ollama, consumer, model: NAMES[consumer] }];
});

/** Left open, an answer that was cut would end with a client's patience. */
const LIMIT = { timeout: 30_000 };

/** The library's error, and not one of this test's own. */
async function mustFail(t, asked) {
  let error = null;
  let answer;
  try {
    answer = await asked;
  } catch (caught) {
    error = caught;
  }
  assert.ok(error !== null, `it was given as a whole answer: ${JSON.stringify(answer) ?? 'a clean end'}`);
  assert.ok(error instanceof Error && !(error instanceof assert.AssertionError), String(error));
  t.diagnostic(`${error.name}: ${error.message}${error.cause === undefined ? '' : ` (${error.cause.message})`}`);
}

for (const { library, ways, consumer, model } of CASES) {
  for (const [way, ask] of Object.entries(ways).filter(([name]) => name !== 'whole')) {
    test(`${library}, ${way}: ${consumer} is killed behind its third word`, LIMIT, async (t) => {
      let words = 0;
      try {
        const heard = async (text) => {
          if (text !== '' && ++words === 3) await control(`kill/${consumer}`);
        };
        await mustFail(t, ask({ model, consumer, fetch, heard }));
        assert.ok(words >= 3, `${words} words were heard before it was killed`);
      } finally {
        await control(`start/${consumer}`);
      }
    });
  }

  // A real llama-server sends a whole answer at once: it is killed while it works.
  test(
    `${library}, whole: ${consumer} is killed ${consumer === 'mortal-real' ? 'while it works' : 'in the middle of its answer'}`,
    LIMIT,
    async (t) => {
      const isReal = consumer === 'mortal-real';
      let answered = null;
      const killing = async (...request) => {
        const answer = fetch(...request);
        if (isReal) await untilRunning(consumer);
        else {
          const { status, headers } = await answer;
          answered = { status, length: Number(headers.get('content-length')) };
        }
        await control(`kill/${consumer}`);
        return answer;
      };
      try {
        // Half of its answer, whose length it has told, then nothing.
        if (!isReal) await control(`suffer/${consumer}/hang-mid-answer`);
        await mustFail(t, ways.whole({ model, consumer, fetch: killing }));
        if (!isReal) assert.ok(answered?.status === 200 && answered.length > 0, JSON.stringify(answered));
      } finally {
        await control(`start/${consumer}`);
      }
    },
  );
}
