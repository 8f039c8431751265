import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startLlamaServer } from '../../src/demo/services/llama-server.js';
import { openBroker, untilAllUp } from '../support/open-broker.js';
import { type Call, openStandIn } from '../support/stand-in.js';
import { call, openSocket, readUntil } from '../support/wire.js';

const JSON_TYPE = { 'content-type': 'application/json' };
const errorOf = (text: string) => JSON.parse(text).error;
const post = (body: string, headers: Record<string, string> = {}) => ({
  method: 'POST',
  headers: { ...JSON_TYPE, ...headers },
  body,
});

/** A service that lists one model and hands everything else to the test. */
function listing(name: string, answer?: (call: Call) => void) {
  return (call: Call) => {
    const { req, res } = call;
    if (req.url === '/health') res.end('{}');
    else if (req.url === '/v1/models') res.end(JSON.stringify({ data: [{ id: name, created: 7 }] }));
    else if (req.url === '/slots') res.writeHead(404).end();
    else answer?.(call);
  };
}

async function openOne(t: TestContext, answer?: (call: Call) => void, more: object = {}) {
  const service = await openStandIn(t, listing('org/model:tag', answer));
  const consumers = { llama: { kind: 'openai', url: service.url, drain: '10ms', ...more } };
  const broker = await openBroker(t, { routes: { llm: 'llama' }, consumers, aliases: { fast: 'llama/org/model:tag' } });
  await untilAllUp(broker);
  return { service, broker };
}

const sse = (res: Call['res'], ...events: string[]) => {
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const event of events) res.write(`data: ${event}\n\n`);
};
const chunk = (text: string, finish: string | null = null) =>
  JSON.stringify({ id: 'c', choices: [{ index: 0, delta: { content: text }, finish_reason: finish }] });

test('a body goes on byte for byte but for the name of its model, wherever that stands', async (t) => {
  const bodies: string[] = [];
  const { broker } = await openOne(
    t,
    ({ body, res }) =>
      void body.then((bytes) => {
        bodies.push(bytes.toString('latin1'));
        res.setHeader('content-type', 'application/json');
        res.end('{"choices":[]}');
      }),
  );
  const rest = (model: string) =>
    `{ "top_k":1.0000000000000000001,"x":"\\u00e9 \\"model\\":\\"no\\"" , "nested":{"model":"inner"},"n":1e400 ,"model" : ${model} }`;
  const cases = [
    ['"fast"', '"org/model:tag"'],
    ['"llama/anything/else"', '"anything/else"'],
    ['"org/model:tag"', '"org/model:tag"'],
  ];
  for (const path of ['/v1/chat/completions', '/chat/completions']) {
    for (const [asked = '', sent = ''] of cases) {
      const { status, headers } = await broker.call(path, post(rest(asked)));
      assert.equal(status, 200);
      assert.match(String(headers['x-request-id']), /^j_/);
      assert.equal(bodies.at(-1), rest(sent));
    }
  }
  assert.equal((await broker.call('/v1/chat/completions', post('{"messages":[]}'))).status, 200);
  assert.equal(bodies.at(-1), '{"messages":[]}');
});

test('a model at the end of a body on disk is found and replaced', async (t) => {
  const lengths: (string | undefined)[] = [];
  const { broker } = await openOne(
    t,
    ({ req, body, res }) =>
      void body.then((bytes) => {
        lengths.push(req.headers['content-length']);
        res.end(JSON.stringify({ size: bytes.length, end: bytes.subarray(-40).toString() }));
      }),
  );
  const text = `{"messages":"${'x'.repeat(20 * 1024 * 1024)}","model":"fast"}`;
  const { text: answer } = await broker.call('/v1/chat/completions', post(text));
  const size = text.length + 'org/model:tag'.length - 'fast'.length;
  assert.equal(JSON.parse(answer).size, size);
  assert.match(JSON.parse(answer).end, /xxx","model":"org\/model:tag"}$/);
  assert.deepEqual(lengths, [String(size)]);
});

test('an unknown model: 404 with the nearest name, and nobody is asked to serve it', async (t) => {
  const { broker, service } = await openOne(t);
  const { status, text, headers } = await broker.call('/v1/chat/completions', post('{"model":"fsat"}'));
  assert.deepEqual([status, errorOf(text).code, errorOf(text).param], [404, 'model_not_found', 'model']);
  assert.match(errorOf(text).message, /did you mean "fast"\?/);
  assert.equal(headers['x-should-retry'], 'false');
  assert.deepEqual(
    service.calls.filter(({ req }) => req.method === 'POST'),
    [],
  );
});

test('what nobody speaks: 404 in the shape of the path, saying which kind would', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.end('{}'));
  const { call: ask } = await openBroker(t, { consumers: { some: { kind: 'http', url: service.url } } });
  const responses = await ask('/v1/responses', post('{"model":"some"}'));
  assert.equal(responses.status, 404);
  assert.match(
    errorOf(responses.text).message,
    /no consumer here speaks \/v1\/responses; a consumer of kind ollama or openai would/,
  );
  const messages = await ask('/v1/messages', post('{"model":"some"}'));
  assert.equal(messages.status, 404);
  const { type, error } = JSON.parse(messages.text);
  assert.deepEqual([type, error.type], ['error', 'not_found_error']);
});

test('the key of a client does not reach the service, its other headers do; X-Conversation-Id does not', async (t) => {
  const { broker, service } = await openOne(t, ({ res }) => res.end('{"choices":[]}'));
  await broker.call(
    '/v1/chat/completions',
    post('{}', { authorization: 'Bearer sk-x', 'x-mine': '1', 'x-conversation-id': 'c' }),
  );
  const sent = service.calls.at(-1)?.req.headers;
  assert.deepEqual([sent?.authorization, sent?.['x-mine'], sent?.['x-conversation-id']], [undefined, '1', undefined]);
});

const REFUSALS: readonly [string, number, string, string, number, RegExp, string | null][] = [
  [
    'a page',
    502,
    'text/html',
    '<html><head><title>x</title></head><body><h1>Bad</h1> gateway</body></html>',
    502,
    /^Bad gateway$/,
    null,
  ],
  [
    'FastAPI',
    422,
    'application/json',
    '{"detail":[{"loc":["body","n"],"msg":"too large"}]}',
    422,
    /^body\.n: too large$/,
    null,
  ],
  ['FastAPI, a text', 404, 'application/json', '{"detail":"Not installed"}', 404, /^Not installed$/, null],
  ['flat', 400, 'application/json', '{"message":"no such thing","code":"x"}', 400, /^no such thing$/, 'x'],
  ['ollama', 500, 'application/json', '{"error":"model runner has unexpectedly stopped"}', 500, /^model runner/, null],
  [
    'llama-server',
    400,
    'application/json',
    '{"error":{"code":400,"message":"too long","type":"exceed_context_size_error","n_ctx":9}}',
    400,
    /^too long$/,
    'context_length_exceeded',
  ],
  ['nothing', 500, 'text/plain', '', 500, /^llama answered 500 without a word$/, null],
  ['a page with a good status', 200, 'text/html', '<p>log in</p>', 502, /^log in$/, null],
];

for (const [name, said, type, body, status, message, code] of REFUSALS) {
  test(`an error of the service has the shape that SDKs parse: ${name}`, async (t) => {
    const { broker } = await openOne(t, ({ res }) => res.writeHead(said, { 'content-type': type }).end(body));
    const answer = await broker.call('/v1/chat/completions', post('{"stream":true}'));
    assert.equal(answer.status, status);
    assert.match(String(answer.headers['content-type']), /^application\/json/);
    const error = errorOf(answer.text);
    assert.match(error.message, message);
    assert.deepEqual([error.code, error.param, typeof error.type], [code, null, 'string']);
  });
}

test('a stream goes through event by event, unchanged, with the headers that keep it unbuffered', async (t) => {
  const { broker, service } = await openOne(t);
  const asked = call(broker.port, '/v1/chat/completions', post('{"stream":true}', { 'accept-encoding': 'gzip' }));
  const job = await nextPost(service);
  assert.equal(job.req.headers['accept-encoding'], 'identity');
  const tool =
    '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\": 1.0}"}}]},"finish_reason":null}]}';
  const usage = '{"choices":[],"usage":{"total_tokens":3}}';
  sse(job.res, chunk('a'), tool, chunk('', 'stop'), usage, '[DONE]');
  job.res.write(': ping\n\n');
  job.res.end();
  const { status, headers, text } = await asked;
  assert.deepEqual([status, headers['x-accel-buffering'], headers['cache-control']], [200, 'no', 'no-cache']);
  assert.match(String(headers['content-type']), /^text\/event-stream/);
  assert.equal(
    text,
    `data: ${chunk('a')}\n\ndata: ${tool}\n\ndata: ${chunk('', 'stop')}\n\ndata: ${usage}\n\ndata: [DONE]\n\n: ping\n\n`,
  );
});

async function nextPost(service: { next: () => Promise<Call> }): Promise<Call> {
  for (;;) {
    const job = await service.next();
    if (job.req.method === 'POST') return job;
  }
}

test('events without data, ids and half events never reach a client', async (t) => {
  const { broker } = await openOne(t, ({ res }) => {
    sse(res, chunk('a', 'stop'));
    res.write('event: ping\n\nretry: 3000\n\nid: 7\n\n');
    res.end('data: [DONE]');
  });
  const { text } = await broker.call('/v1/chat/completions', post('{"stream":true}'));
  assert.equal(text, `data: ${chunk('a', 'stop')}\n\ndata: [DONE]\n\n`);
});

/** What a client saw of a stream that broke: its text, and that it was cut. */
async function brokenStream(port: number, path = '/v1/chat/completions'): Promise<string> {
  const socket = await openSocket(port);
  const text = new Promise<string>((resolve) => {
    let all = '';
    socket.on('data', (bytes: Buffer) => {
      all += bytes.toString();
    });
    socket.on('close', () => resolve(all));
  });
  const body = '{"stream":true}';
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  return text;
}

const BREAKS: readonly [string, (res: Call['res']) => void, RegExp][] = [
  [
    'the service is cut',
    (res) => {
      sse(res, chunk('a'));
      res.write('data: {"cho', () => res.destroy());
    },
    /closed the connection before its answer was complete/,
  ],
  [
    'it ends without a finish_reason',
    (res) => {
      sse(res, chunk('a'));
      res.end();
    },
    /ended its stream before the answer was complete/,
  ],
  [
    'it says an error and ends',
    (res) => {
      sse(res, chunk('a'), '{"error":{"code":500,"message":"Compute error.","type":"server_error"}}');
      res.end();
    },
    /"message":"Compute error\."/,
  ],
  [
    'it says an error and [DONE]',
    (res) => {
      sse(res, chunk('a'), '{"error":"boom"}', '[DONE]');
      res.end();
    },
    /"message":"boom"/,
  ],
];

for (const [name, breakIt, words] of BREAKS) {
  test(`a broken stream says so, has no [DONE] and is cut: ${name}`, async (t) => {
    const { broker } = await openOne(t, ({ res }) => breakIt(res));
    const text = await brokenStream(broker.port);
    assert.match(text, words);
    assert.ok(text.includes(`data: ${chunk('a')}\n\n`));
    assert.equal(text.match(/data: \{"error":\{/g)?.length, 1);
    assert.ok(!text.includes('[DONE]') && !text.includes('"cho\r\n'));
    assert.ok(!text.endsWith('0\r\n\r\n'), 'it must not look complete');
    const { consumers } = await broker.status();
    assert.equal(consumers.llama?.failed_requests, 1);
  });
}

test('a finish without [DONE] is whole: the mark is added', async (t) => {
  const { broker } = await openOne(t, ({ res }) => {
    sse(res, chunk('a', 'stop'));
    res.end();
  });
  const { text } = await broker.call('/v1/chat/completions', post('{"stream":true}'));
  assert.match(text, /data: \[DONE\]\n\n$/);
});

test('JSON where a stream was asked for becomes one', async (t) => {
  const message = { role: 'assistant', content: 'hi', tool_calls: [{ id: 'x' }] };
  const answer = {
    id: 'c',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [{ index: 0, message, finish_reason: 'tool_calls' }],
  };
  const { broker } = await openOne(t, ({ res }) => res.writeHead(200, JSON_TYPE).end(JSON.stringify(answer)));
  const { text, headers } = await broker.call('/v1/chat/completions', post('{"stream":true}'));
  assert.match(String(headers['content-type']), /^text\/event-stream/);
  const events = text.split('\n\n').filter((event) => event !== '');
  assert.equal(events.at(-1), 'data: [DONE]');
  const first = JSON.parse(events[0]?.slice(6) ?? '');
  assert.deepEqual(first.choices[0].delta, { role: 'assistant', content: 'hi', tool_calls: [{ index: 0, id: 'x' }] });
  assert.equal(JSON.parse(events[1]?.slice(6) ?? '').choices[0].finish_reason, 'tool_calls');
});

test('a client that leaves in mid-stream: the service is broken off and the grant comes back within a second', async (t) => {
  const service = await startLlamaServer({ speed: 1 });
  t.after(() => service.close());
  const broker = await openBroker(t, {
    routes: { llm: 'llama' },
    consumers: { llama: { kind: 'openai', url: service.url } },
  });
  await untilAllUp(broker);
  for (let round = 0; round < 5; round += 1) {
    const socket = await openSocket(broker.port);
    const body = '{"stream":true,"messages":[{"role":"user","content":"hello"}]}';
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await readUntil(socket, (text) => text.includes('"content":"'));
    const over = broker.until((fact) => fact.type === 'job' && fact.change === 'work_over');
    const leftAt = performance.now();
    socket.destroy();
    await over;
    assert.ok(performance.now() - leftAt < 1000);
    assert.notEqual(service.work.at(-1)?.endedAtMs, null);
  }
});

test('embeddings come in the encoding that was asked for, whatever the service made of it', async (t) => {
  const floats = [0.5, -0.25, 1];
  const bytes = Buffer.alloc(12);
  for (const [index, value] of floats.entries()) bytes.writeFloatLE(value, index * 4);
  const base64 = bytes.toString('base64');
  for (const [says, wants, expected] of [
    [floats, 'base64', base64],
    [base64, 'float', floats],
    [floats, undefined, floats],
    [base64, 'base64', base64],
  ]) {
    const answer = JSON.stringify({
      object: 'list',
      model: 'm',
      data: [{ index: 0, embedding: says }],
      usage: { total_tokens: 1 },
    });
    const { broker } = await openOne(t, ({ res }) => res.writeHead(200, JSON_TYPE).end(answer));
    const { text } = await broker.call(
      '/v1/embeddings',
      post(JSON.stringify({ input: [1, 2], encoding_format: wants })),
    );
    assert.deepEqual(JSON.parse(text).data[0].embedding, expected);
    assert.deepEqual(JSON.parse(text).usage, { total_tokens: 1 });
    await broker.stop();
  }
});
