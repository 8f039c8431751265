/** The stand-in for ollama: its native routes, models that come and go, and its words for what is wrong. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, test } from 'node:test';
import { startOllama } from '../../src/demo/services/ollama.js';
import { goTime, parseGoDuration } from '../../src/demo/services/ollama-wire.js';
import type { DemoService } from '../../src/demo/services/service.js';
import { listAt, textAt, valueAt } from '../support/json-value.js';

const ollama = await startOllama({ speed: 100 });
after(() => ollama.close());

const post = (path: string, body: unknown): Promise<Response> =>
  fetch(ollama.url + path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });
const chat = (content: string, more: object = {}): Promise<Response> =>
  post('/api/chat', { model: 'qwen3:8b', messages: [{ role: 'user', content }], ...more });

async function linesOf(response: Response): Promise<Record<string, unknown>[]> {
  return (await response.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

async function loadedNames(service: DemoService = ollama): Promise<string[]> {
  const answer = await (await fetch(`${service.url}/api/ps`)).json();
  return listAt(answer, 'models').map((model) => textAt(model, 'name'));
}

async function untilGone(name: string, service: DemoService = ollama): Promise<void> {
  while ((await loadedNames(service)).includes(name));
}

test('chat streams one line a token, and the last one says done with its times', async () => {
  const response = await chat('Why is the sky blue?');
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
  assert.equal(response.headers.get('transfer-encoding'), 'chunked');
  const lines = await linesOf(response);
  assert.ok(lines.length > 20);
  const last = lines.at(-1);
  assert.deepEqual([last?.done, last?.done_reason], [true, 'stop']);
  for (const field of [
    'total_duration',
    'load_duration',
    'prompt_eval_count',
    'prompt_eval_duration',
    'eval_duration',
  ]) {
    assert.equal(typeof last?.[field], 'number', field);
  }
  assert.equal(last?.eval_count, lines.length - 1);
  assert.ok(lines.slice(0, -1).every((line) => line.done === false));
});

test('the text depends on prompt, model and seed, and on nothing else', async () => {
  const say = async (prompt: string, more: object = {}): Promise<string> =>
    textAt(
      await (await post('/api/generate', { model: 'qwen3:8b', prompt, stream: false, ...more })).json(),
      'response',
    );
  const first = await say('Tell me about ships.');
  assert.equal(await say('Tell me about ships.'), first);
  assert.match(first, /ships/);
  assert.notEqual(await say('Tell me about trains.'), first);
  assert.notEqual(await say('Tell me about ships.', { options: { seed: 7 } }), first);
  assert.notEqual(await say('Tell me about ships.', { model: 'llama3.2:3b' }), first);
});

test('num_predict ends the text early with the reason length', async () => {
  const lines = await linesOf(await chat('Count.', { options: { num_predict: 3 } }));
  assert.deepEqual([lines.length, lines.at(-1)?.done_reason], [4, 'length']);
});

test('an empty prompt loads a model; with keep_alive 0 it unloads it, after the answer', async () => {
  const service = await startOllama({ speed: 2 });
  const embed = async (more: object): Promise<unknown[]> => {
    const body = JSON.stringify({ model: 'nomic-embed-text', ...more });
    const answer = await (await fetch(`${service.url}/api/embed`, { method: 'POST', body })).json();
    return ['model', 'embeddings'].map((field) => valueAt(answer, field));
  };
  try {
    assert.deepEqual(await embed({ input: [] }), ['nomic-embed-text:latest', []]);
    assert.deepEqual(await loadedNames(service), ['nomic-embed-text:latest']);
    const body = JSON.stringify({ model: 'nomic-embed-text', keep_alive: 0 });
    const unload = await (await fetch(`${service.url}/api/generate`, { method: 'POST', body })).json();
    assert.deepEqual(
      ['done', 'done_reason', 'response'].map((field) => valueAt(unload, field)),
      [true, 'unload', ''],
    );
    assert.deepEqual(await loadedNames(service), ['nomic-embed-text:latest'], 'the answer is only a promise');
    await untilGone('nomic-embed-text:latest', service);
  } finally {
    await service.close();
  }
  const load = await (await post('/api/generate', { model: 'llama3.2:3b' })).json();
  assert.deepEqual(
    ['done', 'done_reason', 'response'].map((field) => valueAt(load, field)),
    [true, 'load', ''],
  );
});

test('keep_alive of a job unloads the model so long after it', async () => {
  await (await chat('Hi.', { model: 'qwen3:32b', keep_alive: '20ms' })).text();
  await untilGone('qwen3:32b');
});

test('an unload during a load is lost', async () => {
  const service = await startOllama({ speed: 5 });
  try {
    const loading = fetch(`${service.url}/api/generate`, { method: 'POST', body: '{"model":"llama3.2:3b"}' });
    await service.until(() => service.work.length === 1);
    await (
      await fetch(`${service.url}/api/generate`, { method: 'POST', body: '{"model":"llama3.2:3b","keep_alive":0}' })
    ).text();
    await (await loading).text();
    assert.deepEqual(await loadedNames(service), ['llama3.2:3b']);
  } finally {
    await service.close();
  }
});

test('a client that leaves during a load ends the load', async () => {
  const service = await startOllama({ speed: 1 });
  try {
    const leaving = new AbortController();
    const sent = fetch(`${service.url}/api/generate`, {
      method: 'POST',
      body: '{"model":"qwen3:32b"}',
      signal: leaving.signal,
    });
    await service.until(() => service.work.length === 1);
    leaving.abort();
    await assert.rejects(sent);
    await service.until(() => service.work[0]?.endedAtMs !== null);
    assert.deepEqual(await loadedNames(service), []);
  } finally {
    await service.close();
  }
});

test('requests for one model run one after another', async () => {
  const before = ollama.work.length;
  await Promise.all([1, 2, 3].map(async (number) => (await chat(`Number ${number}`)).text()));
  const spans = ollama.work.slice(before);
  assert.equal(spans.length, 3);
  for (const [index, span] of spans.slice(1).entries()) {
    assert.ok(span.startedAtMs >= (spans[index]?.endedAtMs ?? Number.POSITIVE_INFINITY));
  }
});

test('a fourth model takes the place of an idle one', async () => {
  const service = await startOllama({ speed: 200 });
  try {
    for (const model of ['llama3.2:3b', 'qwen3:8b', 'qwen3:32b', 'nomic-embed-text']) {
      await (
        await fetch(`${service.url}/api/embed`, { method: 'POST', body: JSON.stringify({ model, input: 'x' }) })
      ).text();
    }
    const names = await loadedNames(service);
    assert.equal(names.length, 3);
    assert.ok(names.includes('nomic-embed-text:latest'));
  } finally {
    await service.close();
  }
});

test('lists: tags with sizes from small to too large for most cards, show, version, root', async () => {
  const tags = await (await fetch(`${ollama.url}/api/tags`)).json();
  const names = listAt(tags, 'models').map((model) => textAt(model, 'name'));
  assert.deepEqual(names, ['llama3.2:3b', 'qwen3:8b', 'qwen3:32b', 'nomic-embed-text:latest']);
  const show = await (await post('/api/show', { model: 'nomic-embed-text' })).json();
  assert.deepEqual(valueAt(show, 'capabilities'), ['embedding']);
  assert.deepEqual(await (await fetch(`${ollama.url}/api/version`)).json(), { version: '0.33.0' });
  assert.equal(await (await fetch(ollama.url)).text(), 'Ollama is running');
});

test('embeddings: a vector a text, the same for the same text', async () => {
  const answer = await (await post('/api/embed', { model: 'nomic-embed-text', input: ['a', 'b', 'a'] })).json();
  const embeddings = listAt(answer, 'embeddings');
  assert.equal(embeddings.length, 3);
  assert.deepEqual(embeddings[0], embeddings[2]);
  assert.notDeepEqual(embeddings[0], embeddings[1]);
});

for (const [what, path, body, status, text] of [
  [
    'an unknown model',
    '/api/chat',
    { model: 'nope', messages: [{ role: 'user', content: 'x' }] },
    404,
    /^model 'nope' not found$/,
  ],
  ['no model', '/api/chat', { messages: [] }, 400, /^model is required$/],
  ['no body', '/api/generate', '', 400, /^missing request body$/],
  ['no JSON', '/api/generate', '{', 400, /JSON/],
  ['a wrong keep_alive', '/api/generate', { model: 'qwen3:8b', keep_alive: '300' }, 400, /invalid duration/],
  [
    'chat with an embedding model',
    '/api/generate',
    { model: 'nomic-embed-text', prompt: 'x' },
    400,
    /does not support generate$/,
  ],
] as const) {
  test(`${what} gets ${status} and ollama's envelope`, async () => {
    const response = await post(path, body);
    assert.equal(response.status, status);
    assert.match(textAt(await response.json(), 'error'), text);
  });
}

test('unknown paths and methods get the bare texts of its router', async () => {
  const unknown = await fetch(`${ollama.url}/nothing`);
  assert.deepEqual([unknown.status, await unknown.text()], [404, '404 page not found']);
  const wrong = await fetch(`${ollama.url}/api/chat`);
  assert.deepEqual([wrong.status, await wrong.text()], [405, '405 method not allowed']);
});

test('foreign Host and Origin headers are refused with an empty 403', async () => {
  for (const headers of [{ Host: 'evil.example' }, { Origin: 'https://evil.example' }]) {
    const status = await new Promise((resolve, reject) => {
      request(`${ollama.url}/api/tags`, { headers, agent: false }, (response) => {
        response.resume();
        resolve([response.statusCode, response.headers['content-length']]);
      })
        .once('error', reject)
        .end();
    });
    assert.deepEqual(status, [403, '0']);
  }
});

test('out of memory is said in the words that ollama looks for itself', async () => {
  ollama.fault = 'out-of-memory';
  const response = await chat('x');
  ollama.fault = null;
  assert.equal(response.status, 500);
  assert.match(
    textAt(await response.json(), 'error'),
    /llama-server reported out-of-memory during startup.*cudaMalloc failed/,
  );
});

test('Go durations and times', () => {
  assert.deepEqual(['5m', '1h30m', '-1m', '0', '300', '1.5s', '', 'm'].map(parseGoDuration), [
    300_000,
    5_400_000,
    -60_000,
    0,
    null,
    1_500,
    null,
    null,
  ]);
  assert.equal(goTime(new Date(0)), '1970-01-01T00:00:00.000000000Z');
});

test('its OpenAI routes: whole unless a stream is asked for, usage on demand, errors in their shape', async () => {
  const messages = [{ role: 'user', content: [{ type: 'text', text: 'hello' }] }];
  const ask = (more: object, path = '/v1/chat/completions') => post(path, { model: 'llama3.2:3b', messages, ...more });
  const whole = await (await ask({ max_tokens: 3, max_completion_tokens: 1 })).json();
  assert.deepEqual(
    [
      valueAt(whole, 'object'),
      valueAt(whole, 'choices', 0, 'finish_reason'),
      valueAt(whole, 'usage', 'completion_tokens'),
    ],
    ['chat.completion', 'length', 3],
  );
  const stream = await (await ask({ stream: true, max_tokens: 3, stream_options: { include_usage: true } })).text();
  const events = stream.trimEnd().split('\n\n');
  assert.deepEqual([events.length, events.at(-1)], [6, 'data: [DONE]']);
  assert.deepEqual(valueAt(JSON.parse(events[4]?.slice(6) ?? ''), 'choices'), []);
  const completion = await (await ask({ prompt: 'hello', max_tokens: 2 }, '/v1/completions')).json();
  assert.equal(valueAt(completion, 'object'), 'text_completion');
  const missing = await ask({ model: 'nope' });
  assert.deepEqual(
    [missing.status, await missing.json()],
    [404, { error: { message: "model 'nope' not found", type: 'not_found_error', param: null, code: null } }],
  );
  const embedded = await post('/v1/embeddings', { model: 'nomic-embed-text', input: 'a', encoding_format: 'base64' });
  const packed = Buffer.from(textAt(await embedded.json(), 'data', 0, 'embedding'), 'base64');
  const plain = listAt(
    await (await post('/v1/embeddings', { model: 'nomic-embed-text', input: ['a'] })).json(),
    'data',
    0,
    'embedding',
  );
  assert.equal(packed.length, plain.length * 4);
  assert.ok(Math.abs(packed.readFloatLE(0) - Number(plain[0])) < 1e-6);
});

test('its OpenAI routes: a failure in mid-stream is an empty delta and an early end', async () => {
  ollama.fault = 'job-fails';
  try {
    const body = { model: 'llama3.2:3b', stream: true, messages: [{ role: 'user', content: 'hello' }] };
    const text = await (await post('/v1/chat/completions', body)).text();
    assert.ok(!text.includes('[DONE]') && !/"finish_reason":"/.test(text), text);
  } finally {
    ollama.fault = null;
  }
});

test('one model by its name, and its routes whose events have names', async () => {
  const one = await fetch(`${ollama.url}/v1/models/${encodeURIComponent('llama3.2:3b')}`);
  assert.equal(textAt(await one.json(), 'id'), 'llama3.2:3b');
  const none = await fetch(`${ollama.url}/v1/models/nope`);
  assert.deepEqual([none.status, textAt(await none.json(), 'error', 'type')], [404, 'not_found_error']);
  ollama.fault = 'job-fails';
  try {
    const body = { model: 'llama3.2:3b', stream: true, input: 'hello', messages: [{ role: 'user', content: 'hello' }] };
    const failed = await (await post('/v1/responses', body)).text();
    assert.match(failed, /event: response\.failed\ndata: .*unexpectedly stopped.*\n\n$/);
    const broken = await (await post('/v1/messages', body)).text();
    assert.match(broken, /event: error\ndata: \{"type":"error","error":\{"type":"api_error".*\n\n$/);
  } finally {
    ollama.fault = null;
  }
});
