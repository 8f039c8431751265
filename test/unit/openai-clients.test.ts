/** The first requests of popular clients, replayed, and answered as each expects; then what they ask while all is down. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stringify } from 'yaml';
import { speak } from '../../src/demo/media/tones.js';
import { writeWav } from '../../src/demo/media/wav.js';
import { startComfyui } from '../../src/demo/services/comfyui.js';
import { startLlamaServer } from '../../src/demo/services/llama-server.js';
import { startMvoice } from '../../src/demo/services/mvoice.js';
import { startOllama } from '../../src/demo/services/ollama.js';
import type { DemoService } from '../../src/demo/services/service.js';
import { startWhisperServer } from '../../src/demo/services/whisper-server.js';
import { PICTURE_WORKFLOW } from '../../src/demo/welcome.js';
import { type Daemon, startDaemon } from '../../src/main.js';
import { hasFfmpeg } from '../../src/openai/audio-formats.js';
import { assistants } from '../support/clients/assistants.js';
import type { ClientAnswer, ClientRequest, Expectations } from '../support/clients/contract.js';
import { frontEnds } from '../support/clients/front-ends.js';
import { homes } from '../support/clients/homes.js';
import { libraries } from '../support/clients/libraries.js';
import { listAt, textAt, valueAt } from '../support/json-value.js';
import { SilentLog } from '../support/silent-log.js';

const ffmpeg = await hasFfmpeg();
let folder: string;
let services: DemoService[];
let daemon: Daemon;
let sound: Buffer;

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) {
    await new Promise<void>((resolve) => {
      const stop = daemon.journal.subscribe(() => {
        stop();
        resolve();
      });
    });
  }
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mgpu-clients-'));
  const [llama, ollama, whisper, mvoice, comfyui] = await Promise.all([
    startLlamaServer({ speed: 50 }),
    startOllama({ speed: 50 }),
    startWhisperServer({ speed: 50 }),
    startMvoice({ speed: 50 }),
    startComfyui({ speed: 50 }),
  ]);
  services = [llama, ollama, whisper, mvoice, comfyui];
  await writeFile(join(folder, 'workflow.json'), JSON.stringify(PICTURE_WORKFLOW));
  const file = join(folder, 'consumers.yaml');
  const settings = {
    ...{ bind: '127.0.0.1:0', gpu: { source: 'none' }, state_dir: join(folder, 'state'), policy: 'locked' },
    health: { interval: '200ms', timeout: '2s' },
    routes: { llm: 'llama', stt: 'whisper', tts: 'mvoice', image: 'comfyui' },
    consumers: {
      llama: { kind: 'openai', url: llama.url },
      ollama: { kind: 'ollama', url: ollama.url },
      whisper: { kind: 'whisper-server', url: whisper.url },
      mvoice: {
        ...{ kind: 'http', url: mvoice.url, health: '/health', paths: { tts: '/v1/tts' } },
        ...{ speech: { text: 'text', audio: 'audio' }, voices: { alloy: 'tones' }, default_voice: 'tones' },
      },
      comfyui: { kind: 'comfyui', url: comfyui.url, workflows: { flow: 'workflow.json' } },
    },
    aliases: { 'whisper-1': 'whisper', 'tts-1': 'mvoice', 'dall-e-3': 'comfyui/flow' },
  };
  await writeFile(file, stringify(settings));
  daemon = await startDaemon({ source: { file }, env: process.env, log: new SilentLog() });
  sound = writeWav(await speak('hi there', AbortSignal.timeout(10_000)));
  const everyone = () => daemon.broker.snapshot().consumers.every(({ health }) => health === 'up');
  await until(everyone);
});

after(async () => {
  await daemon.stop();
  await Promise.all(services.map((service) => service.close()));
  await rm(folder, { recursive: true, force: true });
});

function bodyOf({ json, form }: ClientRequest): { body?: string | FormData } {
  if (json !== undefined) return { body: JSON.stringify(json) };
  if (form === undefined) return {};
  const data = new FormData();
  for (const [name, value] of form.before ?? []) data.append(name, value);
  data.append('file', new Blob([new Uint8Array(sound)]), form.file);
  for (const [name, value] of form.behind ?? []) data.append(name, value);
  return { body: data };
}

async function send(request: ClientRequest): Promise<ClientAnswer> {
  const sent = bodyOf(request);
  const type = request.json === undefined ? {} : { 'content-type': 'application/json' };
  const answer = await fetch(`${daemon.urls[0]}${request.path}`, {
    method: request.method ?? (sent.body === undefined ? 'GET' : 'POST'),
    headers: { ...type, ...request.headers },
    ...sent,
  });
  return {
    status: answer.status,
    headers: answer.headers,
    text: Buffer.from(await answer.arrayBuffer()).toString('latin1'),
  };
}

const good = ({ status, text }: ClientAnswer): unknown => {
  assert.equal(status, 200, text.slice(0, 300));
  return JSON.parse(text);
};
const typeOf = ({ headers }: ClientAnswer): string => headers.get('content-type') ?? '';

function refusal(answer: ClientAnswer, statuses: readonly number[]): void {
  assert.ok(statuses.includes(answer.status), `${answer.status} ${answer.text.slice(0, 300)}`);
  const error = valueAt(JSON.parse(answer.text), 'error');
  assert.ok(textAt(error, 'message').length > 0 && textAt(error, 'type').length > 0);
  for (const name of ['code', 'param']) assert.ok(['string', 'object'].includes(typeof valueAt(error, name)), name);
}

function entries(value: unknown, ids: readonly string[]): void {
  const data = listAt(value, 'data');
  for (const id of ids)
    assert.ok(
      data.some((one) => valueAt(one, 'id') === id),
      id,
    );
  for (const one of data) {
    assert.deepEqual([textAt(one, 'object'), typeof valueAt(one, 'created')], ['model', 'number']);
    assert.ok(textAt(one, 'owned_by').length > 0 && valueAt(one, 'name') !== null);
  }
}

/** As the SDKs and Zed's either-or type need them. */
function chunks(text: string): unknown[] {
  const events = text.split('\n\n').filter((event) => event !== '' && !event.startsWith(':'));
  assert.equal(events.pop(), 'data: [DONE]');
  return events.map((event) => {
    assert.match(event, /^data: \{/);
    return JSON.parse(event.slice(6));
  });
}

const EXPECTATIONS: Expectations = {
  models:
    (...ids) =>
    (answer) =>
      entries(good(answer), ids),
  model: (id) => (answer) => assert.equal(textAt(good(answer), 'id'), id),
  stream:
    ({ usage }) =>
    (answer) => {
      assert.equal(answer.status, 200, answer.text.slice(0, 300));
      assert.match(typeOf(answer), /^text\/event-stream/);
      assert.equal(answer.headers.get('x-accel-buffering'), 'no');
      const all = chunks(answer.text);
      const figures = all.filter((one) => listAt(one, 'choices').length === 0);
      assert.equal(figures.length, usage ? 1 : 0);
      if (usage) assert.equal(all.at(-1), figures[0]);
      for (const one of all) {
        assert.equal(textAt(one, 'object'), 'chat.completion.chunk');
        for (const name of ['id', 'model']) assert.ok(textAt(one, name).length > 0);
        assert.equal(typeof valueAt(one, 'created'), 'number');
        for (const choice of listAt(one, 'choices')) {
          assert.equal(valueAt(choice, 'index'), 0);
          assert.equal(typeof valueAt(choice, 'delta'), 'object');
          assert.notEqual(valueAt(choice, 'finish_reason'), undefined);
        }
      }
      assert.ok(all.some((one) => typeof valueAt(one, 'choices', 0, 'finish_reason') === 'string'));
    },
  chat: (answer) => {
    const value = good(answer);
    assert.ok(textAt(value, 'choices', 0, 'message', 'content').length > 0);
    assert.match(textAt(value, 'choices', 0, 'finish_reason'), /^(stop|length)$/);
    assert.equal(typeof valueAt(value, 'usage', 'total_tokens'), 'number');
  },
  embeddings: (count, encoding) => (answer) => {
    const data = listAt(good(answer), 'data');
    assert.equal(data.length, count);
    for (const [index, one] of data.entries()) {
      assert.equal(valueAt(one, 'index'), index);
      assert.equal(typeof valueAt(one, 'embedding'), encoding === 'base64' ? 'string' : 'object');
    }
  },
  transcript: (answer) => assert.equal(textAt(good(answer), 'text'), 'hi there'),
  sound: (format) => (answer) => {
    if (format === 'mp3' && !ffmpeg) return refusal(answer, [400]);
    assert.equal(answer.status, 200, answer.text.slice(0, 300));
    assert.equal(typeOf(answer), format === 'mp3' ? 'audio/mpeg' : 'audio/wav');
    assert.match(answer.text, format === 'mp3' ? /^(ID3|\xff[\xe0-\xff])/ : /^RIFF/);
  },
  picture: (answer) => {
    const bytes = Buffer.from(textAt(good(answer), 'data', 0, 'b64_json'), 'base64');
    assert.equal(bytes.toString('latin1', 1, 4), 'PNG');
  },
  json: (check) => (answer) => assert.ok(check(good(answer)), answer.text.slice(0, 300)),
  lines: (answer) => {
    assert.equal(answer.status, 200);
    const lines = answer.text.trimEnd().split('\n');
    assert.ok(lines.every((line) => line !== ''));
    assert.equal(valueAt(JSON.parse(lines.at(-1) ?? ''), 'done'), true);
  },
  refusal:
    (...statuses) =>
    (answer) =>
      refusal(answer, statuses),
};

const PROGRAMS = [frontEnds, homes, libraries, assistants].flatMap((programs) => programs(EXPECTATIONS));

for (const { name, requests } of PROGRAMS) {
  describe(name, () => {
    for (const request of requests) {
      test(request.what, { timeout: 60_000 }, async () => {
        const answer = await send(request);
        request.expect(answer);
        assert.equal(answer.headers.get('x-powered-by'), null, 'SillyTavern would take us for LM Studio');
        assert.ok(answer.headers.get('x-request-id') !== null || !request.path.startsWith('/v1/'));
      });
    }
  });
}

/** After all others: it stops the services. */
describe('while every service is down', () => {
  before(async () => {
    await Promise.all(services.map((service) => service.close()));
    services = [];
    await until(() => daemon.broker.snapshot().consumers.every(({ health }) => health === 'down'));
  });
  for (const { name, requests } of PROGRAMS) {
    for (const request of requests.filter(({ isProbe }) => isProbe === true)) {
      test(`${name}: ${request.what}`, async () => {
        const askedAt = performance.now();
        request.expect(await send(request));
        assert.ok(performance.now() - askedAt < 1000);
      });
    }
  }
});
