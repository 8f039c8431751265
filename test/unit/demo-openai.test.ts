/** The demo's daemon, asked as OpenAI clients ask: chat, embeddings, speech, transcription, a picture. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Demo, startDemo } from '../../src/demo/main.js';
import { startDaemon } from '../../src/main.js';
import { listAt, textAt, valueAt } from '../support/json-value.js';
import { SilentLog } from '../support/silent-log.js';

let demo: Demo;
before(async () => {
  demo = await startDemo({
    ...{ host: '127.0.0.1', port: 0, speed: 50, policy: 'vram-lru', env: process.env, print: () => {} },
    startDaemon: ({ configFile, env }) => startDaemon({ source: { file: configFile }, env, log: new SilentLog() }),
  });
});
after(() => demo.stop());

const post = (path: string, body: object | FormData): Promise<Response> =>
  fetch(`${demo.url}/v1${path}`, { method: 'POST', body: body instanceof FormData ? body : JSON.stringify(body) });
const messages = [{ role: 'user', content: 'hello' }];

test('models of ollama, aliases, and the workflow', async () => {
  const ids = listAt(await (await fetch(`${demo.url}/v1/models`)).json(), 'data').map((model) => textAt(model, 'id'));
  for (const id of ['whisper-1', 'tts-1', 'dall-e-3', 'demo-xl']) assert.ok(ids.includes(id), id);
});

test('a chat by ollama, whole and streamed', { timeout: 60_000 }, async () => {
  const whole = await post('/chat/completions', { model: 'llama3.2:3b', messages, max_tokens: 4 });
  assert.ok(textAt(await whole.json(), 'choices', 0, 'message', 'content').length > 0);
  const streamed = await post('/chat/completions', { model: 'llama3.2:3b', messages, max_tokens: 4, stream: true });
  assert.match(await streamed.text(), /"finish_reason":"length".*\n\ndata: \[DONE\]\n\n$/s);
});

test('embeddings by ollama', { timeout: 60_000 }, async () => {
  const answer = await (await post('/embeddings', { model: 'nomic-embed-text', input: ['a', 'b'] })).json();
  assert.equal(listAt(answer, 'data').length, 2);
});

test('speech, and its words back', { timeout: 60_000 }, async () => {
  const asked = { model: 'tts-1', voice: 'alloy', input: 'good evening', response_format: 'wav' };
  const spoken = await post('/audio/speech', asked);
  assert.equal(spoken.headers.get('content-type'), 'audio/wav');
  const form = new FormData();
  form.append('file', await spoken.blob(), 'speech.wav');
  form.append('model', 'whisper-1');
  assert.equal(valueAt(await (await post('/audio/transcriptions', form)).json(), 'text'), 'good evening');
});

test('a picture', { timeout: 60_000 }, async () => {
  const answer = await (
    await post('/images/generations', { model: 'dall-e-3', prompt: 'a boat', size: '64x64' })
  ).json();
  const bytes = Buffer.from(textAt(answer, 'data', 0, 'b64_json'), 'base64');
  assert.equal(bytes.toString('latin1', 1, 4), 'PNG');
});
