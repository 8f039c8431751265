/** The stand-in for ComfyUI: the answer to a prompt comes first, the work later; only an interrupt stops it. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startComfyui } from '../../src/demo/services/comfyui.js';
import { pythonJson } from '../../src/demo/services/comfyui-wire.js';
import { PICTURE_REQUEST } from '../../src/demo/welcome.js';
import { listAt, numberAt, textAt, valueAt } from '../support/json-value.js';

const comfyui = await startComfyui({ speed: 100 });
after(() => comfyui.close());

let seed = 0;
/** The usual graph, small and quick, with a new seed each time unless one is given. */
function graph(
  changes: { seed?: number; steps?: number } = {},
): Record<string, { class_type: string; inputs: object }> {
  const { prompt } = structuredClone(PICTURE_REQUEST);
  Object.assign(prompt['4'].inputs, { width: 256, height: 256 });
  seed += 1;
  Object.assign(prompt['5'].inputs, { steps: 4, seed, ...changes });
  return prompt;
}

const post = (path: string, body: unknown): Promise<Response> =>
  fetch(comfyui.url + path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });
const get = async (path: string): Promise<unknown> => (await fetch(comfyui.url + path)).json();
const remaining = async (): Promise<number> => numberAt(await get('/prompt'), 'exec_info', 'queue_remaining');

async function queue(prompt: object, more: object = {}): Promise<string> {
  const response = await post('/prompt', { prompt, ...more });
  assert.equal(response.status, 200);
  return textAt(await response.json(), 'prompt_id');
}

/** The history entry, once it is there: asked for again and again, as real clients do. */
async function entryOf(id: string): Promise<unknown> {
  for (;;) {
    const entry = valueAt(await get(`/history/${id}`), id);
    if (entry !== undefined) return entry;
  }
}

const messagesOf = (entry: unknown): unknown[] =>
  listAt(entry, 'status', 'messages').map((message) => valueAt(message, 0));
const statusOf = (entry: unknown): unknown => valueAt(entry, 'status', 'status_str');
const idsIn = (queued: unknown, part: 'queue_running' | 'queue_pending'): unknown[] =>
  listAt(queued, part).map((item) => valueAt(item, 1));

test('a prompt is answered before its work, which ends with an entry and a picture', async () => {
  const response = await post('/prompt', { prompt: graph(), client_id: 'c1' });
  const answer = await response.text();
  assert.match(answer, /^\{"prompt_id": "[0-9a-f-]{36}", "number": \d+, "node_errors": \{\}\}$/);
  const id = textAt(JSON.parse(answer), 'prompt_id');
  assert.deepEqual(await get(`/history/${id}`), {});
  const entry = await entryOf(id);
  assert.deepEqual([statusOf(entry), valueAt(entry, 'status', 'completed')], ['success', true]);
  assert.deepEqual(messagesOf(entry), ['execution_start', 'execution_cached', 'execution_success']);
  assert.deepEqual(valueAt(entry, 'prompt', 3), { client_id: 'c1' });
  const [image] = listAt(entry, 'outputs', '7', 'images');
  assert.deepEqual([valueAt(image, 'subfolder'), valueAt(image, 'type')], ['', 'output']);
  const picture = await fetch(`${comfyui.url}/view?filename=${textAt(image, 'filename')}&subfolder=&type=output`);
  assert.equal(picture.headers.get('content-type'), 'image/png');
  const png = Buffer.from(await picture.arrayBuffer());
  assert.equal(png.toString('latin1', 1, 4), 'PNG');
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [256, 256]);
});

test('every route exists below /api as well, and JSON is spelt as Python does', async () => {
  assert.equal(await (await fetch(`${comfyui.url}/api/prompt`)).text(), '{"exec_info": {"queue_remaining": 0}}');
  assert.equal(pythonJson({ a: [1, 'ü🎵', null], b: true }), '{"a": [1, "\\u00fc\\ud83c\\udfb5", null], "b": true}');
});

test('the client’s leaving stops nothing; prompts run one after another', async () => {
  const before = comfyui.work.length;
  const ids = [await queue(graph({ steps: 150 })), await queue(graph()), await queue(graph())];
  assert.equal(await remaining(), 3);
  const queued = await get('/queue');
  assert.deepEqual([idsIn(queued, 'queue_running'), idsIn(queued, 'queue_pending')], [ids.slice(0, 1), ids.slice(1)]);
  assert.deepEqual(valueAt(queued, 'queue_running', 0, 4), ['7']);
  for (const id of ids) assert.equal(statusOf(await entryOf(id)), 'success');
  const spans = comfyui.work.slice(before);
  assert.deepEqual(
    spans.map((span) => span.label),
    ids,
  );
  for (const [index, span] of spans.slice(1).entries()) {
    assert.ok(span.startedAtMs >= (spans[index]?.endedAtMs ?? Number.POSITIVE_INFINITY));
  }
  while ((await remaining()) > 0);
});

test('the entry is there before the prompt leaves the queue', async () => {
  const id = await queue(graph());
  for (let found = false; !found; ) {
    const queued = await get('/queue');
    const inQueue = [...idsIn(queued, 'queue_running'), ...idsIn(queued, 'queue_pending')].includes(id);
    found = valueAt(await get(`/history/${id}`), id) !== undefined;
    assert.ok(inQueue || found, 'a prompt was in neither queue nor history');
  }
});

test('the same graph again runs nothing and shows the old file', async () => {
  const same = graph();
  const first = await entryOf(await queue(same));
  const second = await entryOf(await queue(same));
  assert.deepEqual(valueAt(second, 'outputs'), valueAt(first, 'outputs'));
  assert.deepEqual(listAt(second, 'status', 'messages', 1, 1, 'nodes').toSorted(), ['1', '2', '3', '4', '5', '6', '7']);
});

test('an interrupt by id ends that prompt only, at its next step', async () => {
  const running = await queue(graph({ steps: 200 }));
  const waiting = await queue(graph());
  await comfyui.until(() => comfyui.work.at(-1)?.label === running);
  assert.equal((await post('/interrupt', { prompt_id: waiting })).status, 200);
  assert.equal(await remaining(), 2, 'the id was not the running one');
  await post('/interrupt', { prompt_id: running });
  const entry = await entryOf(running);
  assert.deepEqual([statusOf(entry), valueAt(entry, 'status', 'completed')], ['error', false]);
  assert.equal(messagesOf(entry).at(-1), 'execution_interrupted');
  assert.equal(statusOf(await entryOf(waiting)), 'success');
});

test('an interrupt without a body ends whatever runs', async () => {
  const running = await queue(graph({ steps: 200 }));
  await comfyui.until(() => comfyui.work.at(-1)?.label === running);
  await post('/interrupt', '');
  assert.equal(messagesOf(await entryOf(running)).at(-1), 'execution_interrupted');
});

test('a waiting prompt can be deleted without a trace; front and number order the others', async () => {
  const running = await queue(graph({ steps: 100 }));
  await comfyui.until(() => comfyui.work.at(-1)?.label === running);
  const last = await queue(graph());
  const deleted = await queue(graph());
  const first = await queue(graph(), { front: true });
  await post('/queue', { delete: [deleted] });
  assert.deepEqual(idsIn(await get('/queue'), 'queue_pending'), [first, last]);
  await post('/interrupt', {});
  await entryOf(last);
  assert.deepEqual(await get(`/history/${deleted}`), {});
});

for (const [what, prompt, type, details] of [
  ['an unknown node', { 1: { class_type: 'Nope', inputs: {} } }, 'invalid_prompt', "Node ID '#1'"],
  ['no output node', { 1: { class_type: 'EmptyImage', inputs: {} } }, 'prompt_no_outputs', ''],
  [
    'a bad value',
    {
      1: { class_type: 'EmptyImage', inputs: { width: -5, height: 9, batch_size: 1, color: 0 } },
      2: { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } },
    },
    'prompt_outputs_failed_validation',
    '',
  ],
] as const) {
  test(`${what} is refused with ${type}`, async () => {
    const response = await post('/prompt', { prompt });
    assert.equal(response.status, 400);
    const body = await response.json();
    assert.deepEqual([valueAt(body, 'error', 'type'), valueAt(body, 'error', 'details')], [type, details]);
    if (type === 'prompt_outputs_failed_validation') {
      const error = valueAt(body, 'node_errors', '1', 'errors', 0);
      const said = ['type', 'message', 'details'].map((field) => valueAt(error, field));
      assert.deepEqual(said, ['value_smaller_than_min', 'Value -5 smaller than min of 1', 'width']);
      assert.deepEqual(valueAt(body, 'node_errors', '1', 'dependent_outputs'), ['2']);
    }
  });
}

test('no prompt is a 400 of its own, no JSON the 500 of its server', async () => {
  const none = await post('/prompt', {});
  assert.deepEqual([none.status, valueAt(await none.json(), 'error', 'type')], [400, 'no_prompt']);
  const junk = await post('/prompt', 'junk');
  assert.deepEqual(
    [junk.status, await junk.text()],
    [500, '500 Internal Server Error\n\nServer got itself in trouble'],
  );
  assert.equal((await post('/free', '')).status, 500);
});

test('failures of a job stand in its history entry, out of memory with torch’s type', async () => {
  for (const [fault, type] of [
    ['job-fails', 'RuntimeError'],
    ['out-of-memory', 'torch.OutOfMemoryError'],
  ] as const) {
    comfyui.fault = fault;
    const entry = await entryOf(await queue(graph()));
    comfyui.fault = null;
    assert.equal(statusOf(entry), 'error');
    const last = listAt(entry, 'status', 'messages').at(-1);
    assert.deepEqual([valueAt(last, 0), valueAt(last, 1, 'exception_type')], ['execution_error', type]);
  }
});

test('a program that lost everything knows the prompt neither in queue nor in history', async () => {
  const id = await queue(graph({ steps: 200 }));
  await comfyui.until(() => comfyui.work.at(-1)?.label === id);
  comfyui.loseEverything();
  await comfyui.until(() => comfyui.work.at(-1)?.endedAtMs !== null);
  while ((await remaining()) > 0);
  assert.deepEqual(await get(`/history/${id}`), {});
});

test('pages of another origin are refused', async () => {
  assert.equal((await fetch(`${comfyui.url}/prompt`, { headers: { Origin: 'https://evil.example' } })).status, 403);
  assert.equal((await fetch(`${comfyui.url}/prompt`, { headers: { Origin: comfyui.url } })).status, 200);
});

test('system_stats, object_info, models, unknown files', async () => {
  const stats = await get('/system_stats');
  assert.deepEqual([valueAt(stats, 'system', 'comfyui_version'), listAt(stats, 'devices').length], ['0.3.64', 1]);
  assert.equal(valueAt(await get('/object_info/EmptyImage'), 'EmptyImage', 'name'), 'EmptyImage');
  assert.deepEqual(await get('/models/checkpoints'), ['demo-xl.safetensors', 'demo-small.safetensors']);
  assert.equal((await fetch(`${comfyui.url}/view?filename=none.png`)).status, 404);
  assert.equal((await fetch(`${comfyui.url}/view?filename=../x.png`)).status, 400);
  assert.equal((await fetch(`${comfyui.url}/nothing`)).status, 404);
  assert.equal((await fetch(`${comfyui.url}/free`)).status, 405);
});
