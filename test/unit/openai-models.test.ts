import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startOllama } from '../../src/demo/services/ollama.js';
import { openFullListener } from '../support/full-listener.js';
import { openBroker, untilAllUp } from '../support/open-broker.js';
import { openRawStandIn, openStandIn } from '../support/stand-in.js';

const errorOf = (text: string) => JSON.parse(text).error;
interface Entry {
  readonly id: string;
  readonly object: string;
  readonly created: number;
  readonly owned_by: string;
  readonly health: string;
  readonly target?: string;
}
const entriesOf = (text: string): Entry[] => JSON.parse(text).data;

/** Lists the models that it is given, over HTTP as an openai service does. */
const openListing = (t: TestContext, names: readonly string[]) =>
  openStandIn(t, ({ req, res }) => {
    if (req.url === '/v1/models') res.end(JSON.stringify({ data: names.map((id) => ({ id, created: 7 })) }));
    else res.end('{}');
  });

/** Silent services beside one that answers: the list comes at once, from the first call on. */
test('a silent service and one that cannot be reached slow no list and no job', { timeout: 30_000 }, async (t) => {
  const good = await openListing(t, ['one', 'two']);
  const mute = await openRawStandIn(t, () => {});
  const full = await openFullListener(t);
  const broker = await openBroker(t, {
    routes: { llm: 'llm-a' },
    health: { interval: '500ms', timeout: '300ms' },
    consumers: {
      'llm-a': { kind: 'openai', url: good.url },
      'llm-x': { kind: 'openai', url: mute.url },
      'llm-y': { kind: 'openai', url: `http://127.0.0.1:${full}` },
    },
  });
  const slowest = { ms: 0 };
  const health = async (): Promise<Record<string, string>> => {
    const startedAt = performance.now();
    const { status, text } = await broker.call('/v1/models');
    slowest.ms = Math.max(slowest.ms, performance.now() - startedAt);
    assert.equal(status, 200);
    return Object.fromEntries(entriesOf(text).map(({ id, health: seen }) => [id, seen]));
  };
  await health();
  const down = () => broker.daemon.broker.snapshot().consumers.filter((one) => one.health === 'down').length === 2;
  while (!down()) await broker.until((fact) => fact.type === 'consumer', down);
  assert.deepEqual(await health(), { one: 'up', two: 'up', 'llm-x': 'down', 'llm-y': 'down' });
  assert.ok(slowest.ms < 1000, `${slowest.ms} ms`);
  const body = '{"model":"llm-x/m","messages":[]}';
  const askedAt = performance.now();
  const refused = await broker.call('/v1/chat/completions', { method: 'POST', body });
  assert.ok(performance.now() - askedAt < 1000);
  assert.deepEqual(
    [refused.status, errorOf(refused.text).code, errorOf(refused.text).consumer],
    [503, 'consumer_down', 'llm-x'],
  );
});

test('the list outlives its service; aliases and services without a list are there too', async (t) => {
  const ollama = await startOllama({ speed: 50 });
  const broker = await openBroker(t, {
    routes: { llm: 'ollama', stt: 'whisper' },
    health: { interval: '100ms', timeout: '2s' },
    consumers: {
      ollama: { kind: 'ollama', url: ollama.url },
      whisper: { kind: 'whisper-server', url: 'http://127.0.0.1:9' },
      some: { kind: 'http', url: 'http://127.0.0.1:10' },
    },
    aliases: { 'whisper-1': 'whisper', smart: 'ollama/qwen3:8b' },
  });
  const isUp = () => broker.daemon.broker.snapshot().consumers.some((one) => one.health === 'up');
  await broker.until((fact) => fact.type === 'consumer' && fact.health === 'up', isUp);
  await ollama.until(() => ollama.seen.some(({ path, endedAtMs }) => path === '/api/tags' && endedAtMs !== null));
  const workBefore = ollama.work.length;
  const names = async () => entriesOf((await broker.call('/models')).text).map(({ id }) => id);
  while (!(await names()).includes('qwen3:8b')) await broker.until(() => true);
  assert.equal(ollama.work.length, workBefore, 'a list loads nothing');
  await ollama.close();
  await broker.until((fact) => fact.type === 'consumer' && fact.health === 'down');
  const { status, text } = await broker.call('/v1/models');
  assert.equal(status, 200);
  const entries = entriesOf(text);
  for (const id of ['qwen3:8b', 'whisper-1', 'smart', 'whisper'])
    assert.ok(
      entries.some((entry) => entry.id === id),
      id,
    );
  assert.ok(!entries.some(({ id }) => id === 'some'));
  for (const entry of entries) {
    assert.deepEqual(
      [typeof entry.created, entry.object, typeof entry.owned_by, 'name' in entry],
      ['number', 'model', 'string', false],
    );
  }
  assert.equal(entries.find(({ id }) => id === 'smart')?.target, 'ollama/qwen3:8b');
});

test('one model: with its slash encoded or raw, 404 with the nearest name otherwise', async (t) => {
  const service = await openListing(t, ['org/name:tag', 'qwen3:8b', 'qwen3:32b']);
  const broker = await openBroker(t, { consumers: { one: { kind: 'openai', url: service.url } } });
  await untilAllUp(broker);
  const unknown = await broker.call('/v1/chat/completions', { method: 'POST', body: '{"model":"org/name:tga"}' });
  assert.match(errorOf(unknown.text).message, /did you mean "org\/name:tag"\?/);
  const part = await broker.call('/v1/models/qwen3');
  assert.match(errorOf(part.text).message, /did you mean "qwen3:8b" or "qwen3:32b"\?/);
  for (const path of ['/v1/models/org%2Fname:tag', '/v1/models/org/name:tag', '/models/org%2Fname%3Atag']) {
    const { status, text } = await broker.call(path);
    assert.deepEqual([status, JSON.parse(text).id, JSON.parse(text).created], [200, 'org/name:tag', 7], path);
  }
  const { status, text } = await broker.call('/v1/models/nope');
  assert.deepEqual([status, errorOf(text).code], [404, 'model_not_found']);
});

test('a name that two services have goes to the route; the other is had by its full name', async (t) => {
  const first = await openListing(t, ['same']);
  const second = await openListing(t, ['same']);
  const broker = await openBroker(t, {
    routes: { llm: 'b' },
    consumers: { a: { kind: 'openai', url: first.url }, b: { kind: 'openai', url: second.url } },
  });
  await untilAllUp(broker);
  const served = async (model: string) =>
    (await broker.call('/v1/chat/completions', { method: 'POST', body: JSON.stringify({ model }) })).headers[
      'x-mgpu-consumer'
    ];
  assert.equal(await served('same'), 'b');
  assert.equal(await served('a/same'), 'a');
  const sent = first.calls.findLast(({ req }) => req.method === 'POST');
  assert.equal(JSON.parse(String(await sent?.body)).model, 'same');
  const ids = entriesOf((await broker.call('/v1/models')).text).map(({ id }) => id);
  assert.deepEqual(ids.sort(), ['b/same', 'same']);
});

test('a model that came after the last list is found before it is refused', async (t) => {
  const names = ['old'];
  const service = await openListing(t, names);
  const broker = await openBroker(t, { consumers: { one: { kind: 'openai', url: service.url } } });
  await untilAllUp(broker);
  names.push('new');
  // Lists are asked for again after 2 s at the earliest: the clock of the machine is what is waited for here.
  const asked = () => broker.call('/v1/chat/completions', { method: 'POST', body: '{"model":"new"}' });
  let answer = await asked();
  for (const until = performance.now() + 5000; answer.status !== 200 && performance.now() < until; )
    answer = await asked();
  assert.equal(answer.status, 200);
});

test('guesses of a backend by its paths are not answered', async (t) => {
  const broker = await openBroker(t, { consumers: { one: { kind: 'openai', url: 'http://127.0.0.1:9' } } });
  for (const path of ['/v1/readyz', '/v1/test', '/v1/nothing']) {
    const { status, text } = await broker.call(path);
    assert.deepEqual([status, errorOf(text).code], [404, 'not_found']);
  }
});
