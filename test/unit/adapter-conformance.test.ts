/** What every kind promises, asked of each against its stand-in. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import type { Adapter, AnswerHead, AnswerWatch, RequestLine } from '../../src/adapters/adapter.js';
import { KINDS } from '../../src/adapters/registry.js';
import { type ConsumerConfiguration, KIND_NAMES, type KindName } from '../../src/config/configuration.js';
import { parseConfiguration } from '../../src/config/load.js';
import { startComfyui } from '../../src/demo/services/comfyui.js';
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
    ],
    jobs: ['POST /prompt', 'POST /api/prompt'],
    model: null,
    errorSaysText: (body) => Object(Object(body).error).message,
  },
};

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

    test('broken off: over after its time', { timeout: 20_000 }, async () => {
      await adapter.brokenOff(null, consumer);
    });

    test('broken off: over at once when nobody listens any more', { timeout: 20_000 }, async () => {
      const gone = await standIn.start();
      const { url } = gone;
      await gone.close();
      // A drain of an hour: the test ends only because the port is closed.
      await adapter.brokenOff('some-id', { ...consumer, url, drainMs: 3_600_000 });
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
