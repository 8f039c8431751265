import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { catalogueOf } from '../../src/adapters/ollama/catalogue.js';
import { ollama } from '../../src/adapters/ollama/ollama.js';
import { askLoaded, loadModel, unloadModel } from '../../src/adapters/ollama/residents.js';
import { bodyOf } from '../support/body-source.js';
import { sampleConsumer } from '../support/sample-configuration.js';
import { openStandIn } from '../support/stand-in.js';

const TAGS = [
  { name: 'qwen3:8b', digest: 'aaa', size: 5 * 1024 ** 3 },
  { name: 'mine:latest', digest: 'aaa', size: 5 * 1024 ** 3 },
  { name: 'gpt:cloud', digest: 'ccc', size: 300 },
  { name: 'far:latest', digest: 'ddd', size: 300, remote_host: 'https://elsewhere.example' },
];

interface Wire {
  loaded: { name: string; size_vram: number }[];
  /** How often the listing still shows a model after it was asked to leave. */
  lingers: number;
  readonly posts: { path: string; body: Record<string, unknown> }[];
  answer: (path: string, body: Record<string, unknown>) => { status: number; json: unknown };
}

async function openOllama(t: TestContext) {
  const wire: Wire = { loaded: [], lingers: 0, posts: [], answer: () => ({ status: 200, json: { done: true } }) };
  const service = await openStandIn(t, async ({ req, res, body }) => {
    const path = req.url ?? '';
    if (path === '/api/tags') res.end(JSON.stringify({ models: TAGS }));
    else if (path === '/api/ps') {
      if (wire.posts.length > 0 && wire.lingers-- <= 0) wire.loaded = [];
      res.end(JSON.stringify({ models: wire.loaded }));
    } else {
      const json = JSON.parse((await body).toString()) as Record<string, unknown>;
      wire.posts.push({ path, body: json });
      const { status, json: said } = wire.answer(path, json);
      res.writeHead(status).end(JSON.stringify(said));
    }
  });
  return { wire, service, consumer: sampleConsumer('ollama', { kind: 'ollama', url: service.url }) };
}

const needOf = (consumer: ReturnType<typeof sampleConsumer>, model: string) =>
  ollama.need(
    { method: 'POST', path: '/api/chat', query: '' },
    'application/json',
    bodyOf(JSON.stringify({ model })),
    consumer,
  );

test('two tags on the same weights are one target, a name without a tag means latest', async (t) => {
  const { consumer } = await openOllama(t);
  const catalogue = await catalogueOf(consumer);
  assert.deepEqual(
    ['qwen3:8b', 'mine', 'mine:latest'].map((name) => catalogue.nameOf(name)),
    Array(3).fill('mine:latest'),
  );
  assert.equal(catalogue.nameOf('new-one'), 'new-one:latest');
});

test('a model of the cloud needs no card, by its name or by where it lives', async (t) => {
  const { consumer } = await openOllama(t);
  assert.equal((await needOf(consumer, 'gpt:cloud')).usesCard, false);
  assert.equal((await needOf(consumer, 'big-cloud')).usesCard, false);
  assert.equal((await needOf(consumer, 'far')).usesCard, false);
  assert.equal((await needOf(consumer, 'qwen3:8b')).usesCard, true);
});

test('what a model may take is guessed from the size of its file', async (t) => {
  const { consumer } = await openOllama(t);
  assert.equal((await needOf(consumer, 'qwen3:8b')).guessMib, 6144);
});

test('an unload is over when the model is listed no more, whatever was answered', async (t) => {
  const { wire, service, consumer } = await openOllama(t);
  wire.loaded = [{ name: 'qwen3:8b', size_vram: 1 }];
  wire.lingers = 3;
  await unloadModel('mine:latest', consumer, 5000);
  // Asked by the name under which it was loaded: what it is called here is another of its names.
  assert.deepEqual(wire.posts, [{ path: '/api/generate', body: { model: 'qwen3:8b', keep_alive: 0, stream: false } }]);
  assert.ok(service.calls.filter(({ req }) => req.url === '/api/ps').length >= 5);
});

test('a model that stays listed is an unload that failed', async (t) => {
  const { wire, consumer } = await openOllama(t);
  wire.loaded = [{ name: 'qwen3:8b', size_vram: 1 }];
  wire.lingers = 1000;
  await assert.rejects(unloadModel('mine:latest', consumer, 300), /still lists the model as loaded/);
});

test('a model for embeddings is loaded by asking for none', async (t) => {
  const { wire, consumer } = await openOllama(t);
  wire.answer = (path) =>
    path === '/api/generate'
      ? { status: 400, json: { error: '"nomic" does not support generate' } }
      : { status: 200, json: { embeddings: [] } };
  await loadModel('nomic', consumer, 5000);
  assert.deepEqual(
    wire.posts.map(({ path }) => path),
    ['/api/generate', '/api/embed'],
  );
});

test('what is loaded is told by one name each, with MiB; an answer that is none says nothing', async (t) => {
  const { wire, service, consumer } = await openOllama(t);
  wire.loaded = [{ name: 'qwen3:8b', size_vram: 6 * 1024 ** 3 }];
  assert.deepEqual(await askLoaded(consumer), { loaded: [{ model: 'mine:latest', mib: 6144 }], work: null });
  service.server.closeAllConnections();
  service.server.close();
  assert.equal(await askLoaded(consumer), null);
});
