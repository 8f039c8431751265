/** What every kind promises, asked of each against its stand-in. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import type { Adapter, AnswerHead, AnswerWatch, RequestLine } from '../../src/adapters/adapter.js';
import { KINDS } from '../../src/adapters/registry.js';
import { type ConsumerConfiguration, KIND_NAMES, type KindName } from '../../src/config/configuration.js';
import { parseConfiguration } from '../../src/config/load.js';
import { startAutomatic1111 } from '../../src/demo/services/automatic1111.js';
import { startComfyui } from '../../src/demo/services/comfyui.js';
import { startLlamaServer } from '../../src/demo/services/llama-server.js';
import { startMvoice } from '../../src/demo/services/mvoice.js';
import { startOllama } from '../../src/demo/services/ollama.js';
import type { DemoService } from '../../src/demo/services/service.js';
import { startWhisperServer } from '../../src/demo/services/whisper-server.js';
import { PICTURE_REQUEST } from '../../src/demo/welcome.js';
import { BrokerError } from '../../src/errors.js';
import { bodyOf } from '../support/body-source.js';
import { sampleConsumer } from '../support/sample-configuration.js';

interface StandIn {
  readonly start: () => Promise<DemoService>;
  readonly job: RequestLine & { readonly type: string; readonly body: string | Buffer };
  readonly pass: readonly string[];
  readonly operator: readonly string[];
  readonly jobs: readonly string[];
  readonly model: string | null;
  readonly errorSaysText: (body: unknown) => unknown;
}

const fast = { speed: 50 };
const form = (name: string): string =>
  `--b\r\ncontent-disposition: form-data; name="${name}"; filename="a.wav"\r\n\r\nRIFF\r\n--b--\r\n`;

const STAND_INS: Readonly<Record<KindName, StandIn>> = {
  http: {
    start: () => startMvoice(fast),
    job: { method: 'POST', path: '/v1/tts', query: '', type: 'application/json', body: '{"text":"hello"}' },
    pass: ['GET /health', 'HEAD /audio/a.wav', 'OPTIONS /v1/tts'],
    operator: [],
    jobs: ['POST /v1/tts', 'PUT /x', 'DELETE /x'],
    model: null,
    errorSaysText: (body) => Object(Object(body).error).message,
  },
  ollama: {
    start: () => startOllama(fast),
    job: {
      method: 'POST',
      path: '/api/chat',
      query: '',
      type: 'application/json',
      body: '{"messages":[{"role":"user","content":"hi"}],"model":"qwen3:8b"}',
    },
    pass: ['GET /api/tags', 'HEAD /', 'POST /api/show'],
    operator: [
      'POST /api/pull',
      'POST /api//pull',
      'POST /api/%70ull',
      'POST /api/pull/',
      'DELETE /api/delete',
      'POST /api/create',
      'POST /API/Pull',
      'DELETE /api/anything',
    ],
    jobs: ['POST /api/chat', 'POST /api/generate', 'POST /v1/chat/completions', 'POST /api/embed'],
    model: 'qwen3:8b',
    errorSaysText: (body) => Object(body).error,
  },
  'whisper-server': {
    start: () => startWhisperServer(fast),
    job: { method: 'POST', path: '/inference', query: '', type: 'multipart/form-data; boundary=b', body: form('file') },
    pass: ['GET /health', 'GET /'],
    operator: ['POST /load', 'POST /v1/audio/load', 'POST /%6coad'],
    jobs: ['POST /inference', 'POST /v1/audio/transcriptions'],
    model: null,
    errorSaysText: (body) => Object(body).error,
  },
  comfyui: {
    start: () => startComfyui(fast),
    job: {
      method: 'POST',
      path: '/prompt',
      query: '',
      type: 'application/json',
      body: JSON.stringify(PICTURE_REQUEST),
    },
    pass: ['GET /queue', 'GET /ws', 'POST /upload/image', 'POST /api/upload/image', 'GET /view'],
    operator: [
      'POST /interrupt',
      'POST /api/interrupt',
      'POST /queue',
      'POST /free',
      'POST /api/jobs/x/cancel',
      'GET /manager/reboot',
      'DELETE /api/assets/1',
      'DELETE /userdata/a.json',
    ],
    jobs: ['POST /prompt', 'POST /api/prompt'],
    model: null,
    errorSaysText: (body) => Object(Object(body).error).message,
  },
  openai: {
    start: () => startLlamaServer(fast),
    job: {
      method: 'POST',
      path: '/v1/chat/completions',
      query: '',
      type: 'application/json',
      body: '{"model":"any","stream":true,"messages":[{"role":"user","content":"hi"}]}',
    },
    pass: ['GET /v1/models', 'GET /slots', 'POST /tokenize', 'HEAD /health'],
    operator: [
      'POST /models/load',
      'POST /v1/models/org/name',
      'GET /unload',
      'POST /sleep',
      'DELETE /api/ps/m',
      'POST /dev//unload',
      'POST /slots/0',
    ],
    jobs: ['POST /v1/chat/completions', 'POST /completion', 'POST /v1/audio/speech', 'GET /upstream/m/health'],
    model: null,
    errorSaysText: (body) => Object(Object(body).error).message,
  },
  automatic1111: {
    start: () => startAutomatic1111(fast),
    job: {
      method: 'POST',
      path: '/sdapi/v1/txt2img',
      query: '',
      type: 'application/json',
      body: '{"prompt":"a boat","width":64,"height":64}',
    },
    pass: ['GET /sdapi/v1/progress', 'GET /sdapi/v1/sd-models', 'POST /internal/progress'],
    operator: [
      'POST /sdapi/v1/options',
      'POST /sdapi/v1/interrupt',
      'POST /sdapi/v1//unload-checkpoint',
      'POST /sdapi/v1/refresh-checkpoints',
      'POST /sdapi/v1/server-kill',
    ],
    jobs: ['POST /sdapi/v1/txt2img', 'POST /sdapi/v1/img2img', 'POST /run/predict'],
    model: null,
    errorSaysText: (body) => Object(body).detail,
  },
};

/** These say themselves when broken-off work is over; the others are waited for. */
const IS_ASKED: ReadonlySet<KindName> = new Set(['comfyui', 'openai', 'automatic1111']);

for (const kind of KIND_NAMES) {
  describe(`kind ${kind}`, () => {
    const adapter = KINDS[kind];
    const standIn = STAND_INS[kind];
    let service: DemoService;
    let consumer: ConsumerConfiguration;
    before(async () => {
      service = await standIn.start();
      consumer = sampleConsumer(kind, { kind, url: service.url, passes: adapter.defaults.passes, drainMs: 300 });
    });
    after(() => service.close());

    test('its defaults make a configuration that the loader takes', () => {
      const kinds = Object.fromEntries(KIND_NAMES.map((name) => [name, KINDS[name].defaults])) as Record<
        KindName,
        Adapter['defaults']
      >;
      const url = adapter.defaults.url ?? 'http://127.0.0.1:9999';
      const loaded = parseConfiguration(`consumers: { one: { kind: ${kind}, url: "${url}" } }`, { env: {}, kinds });
      assert.deepEqual(loaded.good ? [] : loaded.problems, []);
    });

    test('reads pass, jobs wait, what touches others needs an operator, in every spelling', () => {
      const treatments = (lines: readonly string[]) => lines.map((line) => adapter.treatment(lineOf(line), consumer));
      assert.deepEqual(
        treatments(standIn.pass),
        standIn.pass.map(() => 'pass'),
      );
      assert.deepEqual(
        treatments(standIn.operator),
        standIn.operator.map(() => 'operator'),
      );
      assert.deepEqual(
        treatments(standIn.jobs),
        standIn.jobs.map(() => 'job'),
      );
    });

    test('what the file names as load or unload needs an operator, whatever its method', () => {
      const call = { body: null, headers: {} };
      const load = { ...call, method: 'GET', path: '/warm/up?model=x' };
      const unload = { ...call, method: 'POST', path: '/cool/down' };
      const told = { ...consumer, load, unload, passes: ['POST /cool/*'] };
      for (const line of ['GET /warm/up', 'HEAD /warm/up', 'GET //warm/%75p/', 'POST /cool/down']) {
        assert.equal(adapter.treatment(lineOf(line), told), 'operator', line);
      }
      assert.equal(adapter.treatment(lineOf('POST /cool/other'), told), 'pass');
      assert.equal(adapter.treatment(lineOf('GET /warm/up'), consumer), 'pass');
    });

    test('passes never open to everybody what needs an operator', () => {
      const open = { ...consumer, passes: ['* /*'] };
      for (const line of standIn.operator) assert.equal(adapter.treatment(lineOf(line), open), 'operator', line);
    });

    test('names the model of a job, and none for a body that is none', async () => {
      const { job } = standIn;
      const { model, usesCard } = await adapter.need(job, job.type, bodyOf(job.body), consumer);
      assert.deepEqual(
        { model, usesCard },
        {
          model: standIn.model,
          usesCard: true,
        },
      );
      for (const broken of ['', '{', '[]', 'nonsense', '{"model":7}', '"model"', '{"a":{"model":"inner"}}']) {
        assert.equal((await adapter.need(job, 'application/json', bodyOf(broken), consumer)).model, null, broken);
      }
    });

    test('a whole answer gives no complaint, and its work comes to an end', { timeout: 20_000 }, async () => {
      const { head, watch } = await post(service, adapter, standIn.job);
      assert.equal(watch?.complaint() ?? null, null);
      const work = adapter.workAfterAnswer(standIn.job, head, watch, consumer, new AbortController().signal);
      assert.equal(work !== null, kind === 'comfyui');
      if (work !== null) assert.deepEqual(await work, { end: 'done' });
    });

    test('broken off: over after its time, and not before', { timeout: 20_000 }, async () => {
      const before = performance.now();
      await adapter.brokenOff(null, consumer);
      if (!IS_ASKED.has(kind)) assert.ok(performance.now() - before >= consumer.drainMs);
    });

    test('broken off: over soon when the process ends meanwhile', { timeout: 20_000 }, async () => {
      const ending = await standIn.start();
      const over = adapter.brokenOff(null, { ...consumer, url: ending.url, drainMs: 3_600_000 });
      await ending.close();
      await over;
    });

    test('broken off: over at once when nobody listens any more', { timeout: 20_000 }, async () => {
      const gone = await standIn.start();
      const { url } = gone;
      await gone.close();
      // A drain of an hour: the test ends only because the port is closed.
      await adapter.brokenOff('some-id', { ...consumer, url, drainMs: 3_600_000 });
    });

    test('an answer in an unknown encoding is not judged', () => {
      const head = { status: 200, headers: { 'content-type': 'application/x-ndjson', 'content-encoding': 'br' } };
      const watch = adapter.watch(standIn.job, head);
      watch?.piece(Buffer.from([0x8b, 0x01, 0x80]));
      assert.equal(watch?.complaint() ?? null, null);
      assert.equal(watch?.workId() ?? null, null);
    });

    test('our errors have the shape that its clients parse', () => {
      const { body, contentType } = adapter.errorBody(new BrokerError('consumer_down', 'it is down'));
      assert.match(contentType, /^application\/json/);
      assert.equal(standIn.errorSaysText(JSON.parse(body)), 'it is down');
    });
  });
}

function lineOf(text: string): RequestLine {
  const [method = '', path = ''] = text.split(' ');
  return { method, path, query: '' };
}

function post(
  service: DemoService,
  adapter: Adapter,
  job: StandIn['job'],
): Promise<{ head: AnswerHead; watch: AnswerWatch | null }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': job.type, 'content-length': Buffer.byteLength(job.body) };
    const call = request(service.url + job.path, { method: job.method, headers, agent: false }, (response) => {
      const head = { status: response.statusCode ?? 0, headers: response.headers };
      const watch = adapter.watch(job, head);
      response.on('data', (chunk: Buffer) => watch?.piece(chunk));
      response.on('end', () => resolve({ head, watch }));
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end(job.body);
  });
}

test('how long a service is believed to work on after a break is what was measured of each, unless the file says', () => {
  const drains = Object.values(KINDS).map(({ kind, defaults }) => [kind, defaults.drain]);
  assert.deepEqual(Object.fromEntries(drains), {
    http: '5s',
    ollama: '1s',
    'whisper-server': '3s',
    comfyui: '5s',
    openai: '1s',
    automatic1111: '5s',
  });
});
