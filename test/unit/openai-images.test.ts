import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startAutomatic1111 } from '../../src/demo/services/automatic1111.js';
import { startComfyui } from '../../src/demo/services/comfyui.js';
import { BrokerError } from '../../src/errors.js';
import { PictureStore } from '../../src/openai/picture-store.js';
import { openBroker, untilAllUp } from '../support/open-broker.js';
import { openStandIn } from '../support/stand-in.js';
import { openSocket } from '../support/wire.js';

const errorOf = (text: string) => JSON.parse(text).error;

/** The usual graph; the seed has more digits than a double keeps. */
const graph = (changes: { readonly latent?: object; readonly sampler?: object; readonly text?: string } = {}) =>
  JSON.stringify({
    '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'demo-small.safetensors' } },
    '2': {
      class_type: 'CLIPTextEncode',
      inputs: { text: changes.text ?? 'masterpiece, %prompt%, 100%', clip: ['1', 1] },
    },
    '3': { class_type: 'CLIPTextEncode', inputs: { text: '%negative_prompt%', clip: ['1', 1] } },
    '4': {
      class_type: 'EmptyLatentImage',
      inputs: changes.latent ?? { width: '%width%', height: '%height%', batch_size: '%n%' },
    },
    '5': {
      class_type: 'KSampler',
      inputs: {
        ...{
          model: ['1', 0],
          positive: ['2', 0],
          negative: ['3', 0],
          latent_image: ['4', 0],
          seed: '%seed%',
          steps: 4,
        },
        ...{ cfg: 7, sampler_name: 'euler', scheduler: 'normal', denoise: 1, ...changes.sampler },
      },
    },
    '6': { class_type: 'VAEDecode', inputs: { samples: ['5', 0], vae: ['1', 2] } },
    '7': { class_type: 'SaveImage', inputs: { images: ['6', 0], filename_prefix: 'x' } },
  });

async function filesOf(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mgpu-workflows-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

async function openComfyui(t: TestContext, files: Readonly<Record<string, string>> = { 'usual.json': graph() }) {
  const folder = await filesOf(t, files);
  const comfyui = await startComfyui({ speed: 50 });
  t.after(() => comfyui.close());
  const workflows = Object.fromEntries(
    Object.keys(files).map((name) => [name.replace('.json', ''), { file: join(folder, name), size: '64x32' }]),
  );
  const broker = await openBroker(t, {
    routes: { image: 'comfyui' },
    consumers: { comfyui: { kind: 'comfyui', url: comfyui.url, workflows } },
    aliases: { 'dall-e-3': 'comfyui/usual' },
  });
  await untilAllUp(broker);
  const ask = (more: object, headers: Record<string, string> = {}) =>
    broker.call('/v1/images/generations', {
      method: 'POST',
      headers,
      body: JSON.stringify({ prompt: 'a boat', ...more }),
    });
  return { broker, comfyui, ask };
}

/** Width and height in a PNG's first chunk (RFC 2083). */
function sizeOf(base64: string): [number, number] {
  const bytes = Buffer.from(base64, 'base64');
  assert.equal(bytes.toString('latin1', 1, 4), 'PNG');
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

const picturesIn = (text: string): { b64_json: string; url?: string }[] => JSON.parse(text).data;

test('ComfyUI: a workflow with its places filled in; pictures in the answer unless asked otherwise', async (t) => {
  const { broker, ask } = await openComfyui(t);
  const usual = await ask({ model: 'dall-e-3' });
  assert.equal(usual.status, 200, usual.text);
  assert.deepEqual(
    picturesIn(usual.text).map(({ b64_json }) => sizeOf(b64_json)),
    [[64, 32]],
  );
  assert.equal(typeof JSON.parse(usual.text).created, 'number');
  const many = await ask({ model: 'comfyui/usual', n: 3, size: '128x64', negative_prompt: 'blurry' });
  assert.deepEqual(
    picturesIn(many.text).map(({ b64_json }) => sizeOf(b64_json)),
    [
      [128, 64],
      [128, 64],
      [128, 64],
    ],
  );
  const unnamed = await ask({ size: 'auto', seed: 7 });
  assert.equal(unnamed.status, 200);
  const again = await ask({ seed: 7 });
  assert.equal(
    picturesIn(again.text)[0]?.b64_json,
    picturesIn(unnamed.text)[0]?.b64_json,
    'the same seed, the same picture',
  );
  const { text } = await broker.call('/v1/models');
  assert.deepEqual(
    JSON.parse(text).data.map(({ id }: { id: string }) => id),
    ['dall-e-3', 'usual'],
  );
});

test('what a workflow says stays as it is: digits, texts that only look like places', async (t) => {
  const seed = '11259007199254740993';
  const file = graph({ latent: { width: 64, height: 64, batch_size: 1 } }).replace('"%seed%"', seed);
  const bodies: string[] = [];
  const service = await openStandIn(t, ({ req, res, body }) => {
    if (req.method !== 'POST') return void res.end('{"exec_info":{"queue_remaining":0}}');
    void body.then((bytes) => {
      bodies.push(bytes.toString());
      res.writeHead(400, { 'content-type': 'application/json' }).end('{"error":{"message":"no"},"node_errors":{}}');
    });
  });
  const folder = await filesOf(t, { 'one.json': file });
  const broker = await openBroker(t, {
    consumers: { comfyui: { kind: 'comfyui', url: service.url, workflows: { one: join(folder, 'one.json') } } },
  });
  await untilAllUp(broker);
  const prompt = 'say "hi" \\ 50% %width% ü';
  const { status } = await broker.call('/v1/images/generations', { method: 'POST', body: JSON.stringify({ prompt }) });
  assert.equal(status, 400);
  assert.ok(bodies[0]?.includes(`"seed":${seed}`), bodies[0]);
  assert.equal(JSON.parse(bodies[0] ?? '').prompt['2'].inputs.text, `masterpiece, ${prompt}, 100%`);
});

test('by address: absolute, as the client or the proxy in front of us calls us; gone when its hour is over', async (t) => {
  const { broker, ask } = await openComfyui(t);
  const plain = await ask({ response_format: 'url' }, { host: `gpu.lan:${broker.port}` });
  const { url = '' } = picturesIn(plain.text)[0] ?? {};
  assert.match(url, new RegExp(`^http://gpu\\.lan:${broker.port}/v1/images/files/[0-9a-f]{32}\\.png$`));
  const { status, headers } = await broker.call(new URL(url).pathname);
  assert.deepEqual([status, headers['content-type']], [200, 'image/png']);
  const proxied = await ask(
    { response_format: 'url' },
    { host: '127.0.0.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'box.tail.ts.net' },
  );
  assert.match(picturesIn(proxied.text)[0]?.url ?? '', /^https:\/\/box\.tail\.ts\.net\/v1\/images\/files\//);
  const gone = await broker.call('/v1/images/files/00.png');
  assert.deepEqual([gone.status, errorOf(gone.text).code], [404, 'not_found']);
  assert.match(errorOf(gone.text).message, /kept for 60 minutes/);
});

test('the store forgets the oldest when it is full, and everything in time', async () => {
  const picture = (fill: number) => ({ bytes: Buffer.alloc(400, fill) });
  const store = new PictureStore({ lifeMs: 30, mostBytes: 1000 });
  const has = (name: string): boolean => {
    const res = { writeHead: () => {}, end: () => {} };
    try {
      store.send(Object.assign(Object.create(null), { res, params: { name } }));
      return true;
    } catch (error) {
      assert.ok(error instanceof BrokerError);
      return false;
    }
  };
  const names = [1, 2, 3].map((fill) => store.keep(picture(fill)));
  assert.deepEqual(names.map(has), [false, true, true]);
  assert.throws(() => store.keep({ bytes: Buffer.alloc(1001) }), /is not kept for an address/);
  while (names.some(has)) await new Promise((resolve) => setTimeout(resolve, 5));
  store.close();
});

test('what cannot be done is refused with the name of the field, and nothing is started', async (t) => {
  const { comfyui, ask } = await openComfyui(t, {
    'usual.json': graph({ latent: { width: 64, height: 64, batch_size: 1 } }),
  });
  const cases: readonly (readonly [object, string])[] = [
    [{ prompt: undefined }, 'prompt'],
    [{ prompt: '' }, 'prompt'],
    [{ n: 2 }, 'n'],
    [{ n: 11 }, 'n'],
    [{ n: 1.5 }, 'n'],
    [{ size: '128x128' }, 'size'],
    [{ size: 'large' }, 'size'],
    [{ size: '100x100' }, 'size'],
    [{ response_format: 'png' }, 'response_format'],
    [{ output_format: 'webp' }, 'output_format'],
    [{ model: 'comfyui/other' }, 'model'],
  ];
  for (const [more, param] of cases) {
    const { status, text } = await ask(more);
    assert.deepEqual([status, errorOf(text).param], [param === 'model' ? 404 : 400, param], JSON.stringify(more));
  }
  assert.equal(comfyui.work.length, 0);
});

test('ComfyUI says no, fails, runs out of memory: each in the shape that SDKs parse', async (t) => {
  const { comfyui, ask } = await openComfyui(t, {
    'usual.json': graph(),
    'bad.json': graph({ sampler: { sampler_name: 'none' } }),
  });
  const refused = await ask({ model: 'bad' });
  assert.equal(refused.status, 400);
  assert.match(
    errorOf(refused.text).message,
    /^ComfyUI does not take the workflow bad: Prompt outputs failed validation; node 5 \(KSampler\): Value not in list$/,
  );
  comfyui.fault = 'job-fails';
  const failed = await ask({ model: 'usual' });
  assert.deepEqual([failed.status, errorOf(failed.text).code], [502, 'consumer_failed']);
  assert.match(errorOf(failed.text).message, /mat1 and mat2/);
  comfyui.fault = 'out-of-memory';
  const full = await ask({ model: 'usual' });
  assert.deepEqual([full.status, errorOf(full.text).code], [503, 'gpu_out_of_memory']);
});

test('streamed: one event a picture, each with its name', async (t) => {
  const { ask } = await openComfyui(t);
  const { status, headers, text } = await ask({ n: 2, stream: true });
  assert.equal(status, 200);
  assert.match(String(headers['content-type']), /^text\/event-stream/);
  const events = text.split('\n\n').filter((event) => event !== '' && !event.startsWith(':'));
  assert.equal(events.length, 2);
  for (const event of events) {
    const [name, data = ''] = event.split('\n');
    assert.equal(name, 'event: image_generation.completed');
    assert.deepEqual(sizeOf(JSON.parse(data.slice(6)).b64_json), [64, 32]);
  }
});

async function openA1111(t: TestContext, speed = 50) {
  const service = await startAutomatic1111({ speed });
  t.after(() => service.close());
  const broker = await openBroker(t, {
    routes: { image: 'sd' },
    consumers: { sd: { kind: 'automatic1111', url: service.url } },
    aliases: { 'dall-e-2': 'sd/demo-xl', any: 'sd' },
  });
  await untilAllUp(broker);
  const ask = (more: object) =>
    broker.call('/v1/images/generations', { method: 'POST', body: JSON.stringify({ prompt: 'a boat', ...more }) });
  return { broker, service, ask };
}

test('AUTOMATIC1111: sizes, several without their grid, checkpoints by name', async (t) => {
  const { broker, service, ask } = await openA1111(t);
  const two = await ask({ model: 'dall-e-2', n: 2, size: '64x32' });
  assert.equal(two.status, 200, two.text);
  assert.deepEqual(
    picturesIn(two.text).map(({ b64_json }) => sizeOf(b64_json)),
    [
      [64, 32],
      [64, 32],
    ],
  );
  for (const [model, label] of [
    ['any', 'txt2img'],
    ['sd/demo-small', 'demo-small'],
    ['demo-small', 'demo-small'],
  ]) {
    assert.equal((await ask({ model, size: '64x64' })).status, 200);
    assert.equal(service.work.at(-1)?.label, label);
  }
  service.fault = 'out-of-memory';
  service.faultPaths = /txt2img/;
  const full = await ask({ size: '64x64' });
  assert.deepEqual([full.status, errorOf(full.text).code], [503, 'gpu_out_of_memory']);
  assert.match((await broker.call('/v1/models')).text, /"demo-small"/);
});

test('AUTOMATIC1111: a client that leaves ends the job there, and the card comes back', async (t) => {
  const { broker, service } = await openA1111(t, 1);
  const body = '{"prompt":"a boat","size":"64x64","n":4}';
  const socket = await openSocket(broker.port);
  const running = broker.until((fact) => fact.type === 'job' && fact.change === 'granted');
  socket.write(
    `POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await running;
  await service.until(() => service.work.length === 1);
  const over = broker.until((fact) => fact.type === 'job' && fact.change === 'work_over');
  socket.destroy();
  await over;
  assert.notEqual(service.work.at(-1)?.endedAtMs, null, 'the card was given back while it still worked');
  assert.ok(service.seen.some(({ path }) => path === '/sdapi/v1/interrupt'));
});

test('a consumer that speaks the route gets it as it came', async (t) => {
  const bodies: string[] = [];
  const service = await openStandIn(t, ({ req, res, body }) => {
    if (req.method !== 'POST') return void res.end('{"data":[{"id":"sdxl"}]}');
    void body.then((bytes) => {
      bodies.push(bytes.toString());
      res.setHeader('content-type', 'application/json').end('{"created":1,"data":[{"url":"x"}]}');
    });
  });
  const broker = await openBroker(t, { consumers: { any: { kind: 'openai', url: service.url } } });
  await untilAllUp(broker);
  const body = '{"model":"sdxl","prompt":"x","quality":"hd","n":1.0}';
  const { text } = await broker.call('/v1/images/generations', { method: 'POST', body });
  assert.deepEqual([bodies[0], text], [body, '{"created":1,"data":[{"url":"x"}]}']);
});

test('nobody makes pictures: said in words that help', async (t) => {
  const broker = await openBroker(t, { consumers: { comfyui: { kind: 'comfyui', url: 'http://127.0.0.1:9' } } });
  const { status, text } = await broker.call('/v1/images/generations', { method: 'POST', body: '{"prompt":"x"}' });
  assert.equal(status, 404);
  assert.match(errorOf(text).message, /kind openai or automatic1111 or comfyui with `workflows` would/);
});
