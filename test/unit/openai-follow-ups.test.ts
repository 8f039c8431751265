/** `previous_response_id` on `/v1/responses`: who made an answer gets what follows it, nobody else does. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { consumerId } from '../../src/core/vocabulary.js';
import { startOllama } from '../../src/demo/services/ollama.js';
import { ResponseMakers } from '../../src/openai/response-makers.js';
import { openBroker, untilAllUp } from '../support/open-broker.js';
import { type Call, openStandIn } from '../support/stand-in.js';

const errorOf = (text: string) => JSON.parse(text).error;
/** Digits, blanks and members that nobody knows: passed as they are. */
const answerOf = (id: string) => `{ "id":"${id}", "x":1.50, "output":[{"id":"msg_1"}] ,"object":"response"}`;
const eventsOf = (id: string) =>
  `event: response.created\ndata: {"type":"response.created","response":{"id":"${id}","object":"response"}}\n\n` +
  `event: response.completed\ndata: {"type":"response.completed","response":{"id":"${id}"}}\n\n`;

/** `a` and `b`, each with a model of its own, whose answers are named after them and their place. */
async function openTwo(t: TestContext) {
  const bodies: string[] = [];
  const answering =
    (name: string) =>
    ({ req, res, body }: Call) => {
      if (req.method === 'GET') {
        return void res.writeHead(req.url === '/slots' ? 404 : 200).end(`{"data":[{"id":"${name}-model"}]}`);
      }
      void body.then((bytes) => {
        const text = bytes.toString();
        const id = `resp_${name}${bodies.push(text)}`;
        if (!text.includes('"stream":true')) res.setHeader('content-type', 'application/json').end(answerOf(id));
        else res.setHeader('content-type', 'text/event-stream').end(eventsOf(id));
      });
    };
  const a = await openStandIn(t, answering('a'));
  const b = await openStandIn(t, answering('b'));
  const broker = await openBroker(t, {
    routes: { llm: 'a' },
    consumers: { a: { kind: 'openai', url: a.url }, b: { kind: 'openai', url: b.url } },
  });
  await untilAllUp(broker);
  const ask = async (body: object) => {
    const { status, text, headers } = await broker.call('/v1/responses', {
      method: 'POST',
      body: JSON.stringify(body),
    });
    return { status, text, by: headers['x-mgpu-consumer'], headers };
  };
  return { ask, bodies };
}

for (const stream of [false, true]) {
  test(`a follow-up goes to the maker, by its model or without one (${stream ? 'streamed' : 'whole'})`, async (t) => {
    const { ask, bodies } = await openTwo(t);
    const first = await ask({ model: 'b-model', input: 'x', stream });
    assert.deepEqual([first.by, first.text], ['b', stream ? eventsOf('resp_b1') : answerOf('resp_b1')]);
    if (!stream) assert.equal(first.headers['content-length'], String(first.text.length));
    const follow = { previous_response_id: 'resp_b1', input: 'y', stream };
    // The route's own consumer is a.
    assert.equal((await ask(follow)).by, 'b');
    assert.deepEqual(JSON.parse(bodies.at(-1) ?? ''), follow);
    assert.equal((await ask({ ...follow, model: 'b-model' })).by, 'b');
    const elsewhere = await ask({ ...follow, model: 'a-model' });
    const { code, param, message } = errorOf(elsewhere.text);
    assert.deepEqual([elsewhere.status, code, param], [400, 'bad_request', 'previous_response_id']);
    assert.match(message, /resp_b1 was made by b, and the model that was asked for is at a/);
    assert.equal(bodies.length, 3, 'a did not hear of it');
  });
}

test('an answer that nobody here remembers: the model decides, and its consumer says what it knows', async (t) => {
  const { ask } = await openTwo(t);
  assert.equal((await ask({ model: 'b-model', previous_response_id: 'resp_old', input: 'x' })).by, 'b');
  assert.equal((await ask({ previous_response_id: 'resp_old', input: 'x' })).by, 'a');
  assert.equal((await ask({ previous_response_id: 7, input: 'x' })).status, 400);
});

test('the newest names are remembered, the oldest are forgotten first', () => {
  const makers = new ResponseMakers(2);
  for (const name of ['1', '2', '1', '3']) makers.note(name, consumerId('a'));
  assert.deepEqual(
    ['1', '2', '3'].map((name) => makers.makerOf(name)),
    ['a', null, 'a'],
  );
});

test("ollama's /v1/responses and /v1/messages pass, and its errors have the shape of the path", async (t) => {
  const ollama = await startOllama({ speed: 50 });
  t.after(() => ollama.close());
  const broker = await openBroker(t, {
    routes: { llm: 'ollama' },
    consumers: { ollama: { kind: 'ollama', url: ollama.url } },
    aliases: { small: 'ollama/llama3.2:3b' },
  });
  await untilAllUp(broker);
  const ask = (path: string, more: object) =>
    broker.call(path, { method: 'POST', body: JSON.stringify({ model: 'small', max_tokens: 3, ...more }) });
  const messages = [{ role: 'user', content: 'hello' }];
  const whole = JSON.parse((await ask('/v1/responses', { input: 'hello' })).text);
  assert.deepEqual([whole.object, whole.model], ['response', 'llama3.2:3b']);
  assert.deepEqual(JSON.parse((await ask('/v1/messages', { messages })).text).stop_reason, 'max_tokens');
  const responses = await ask('/v1/responses', { input: 'hello', stream: true });
  assert.match(responses.text, /^event: response\.created\n[\s\S]*event: response\.completed\ndata: \{.*\}\n\n$/);
  const streamed = await ask('/v1/messages', { messages, stream: true });
  assert.match(
    streamed.text,
    /^event: message_start\n[\s\S]*event: message_stop\ndata: \{"type":"message_stop"\}\n\n$/,
  );
  const wrong = { model: 'nomic-embed-text', messages, input: 'x' };
  const refused = await ask('/v1/messages', wrong);
  assert.deepEqual(
    [refused.status, JSON.parse(refused.text).type, JSON.parse(refused.text).error.type],
    [400, 'error', 'invalid_request_error'],
  );
  assert.equal(errorOf((await ask('/v1/responses', wrong)).text).type, 'invalid_request_error');
  const { status, text } = await ask('/v1/messages/count_tokens', { messages });
  assert.deepEqual([status, JSON.parse(text).type, JSON.parse(text).error.type], [404, 'error', 'not_found_error']);
});
