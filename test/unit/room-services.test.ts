/** The services themselves on a card that is too small: models swap inside ollama, and work past us is respected. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Fact } from '../../src/core/facts.js';
import { targetName } from '../../src/core/vocabulary.js';
import { startComfyui } from '../../src/demo/services/comfyui.js';
import { startMvoice } from '../../src/demo/services/mvoice.js';
import { startOllama } from '../../src/demo/services/ollama.js';
import type { DemoService } from '../../src/demo/services/service.js';
import type { SharedCard } from '../../src/demo/shared-card.js';
import { PICTURE_REQUEST } from '../../src/demo/welcome.js';
import { type OpenBroker, openBroker, untilAllUp } from '../support/open-broker.js';
import { openCardFor, ROOM_TEST } from '../support/room.js';

interface Services {
  readonly card: SharedCard;
  readonly ollama: DemoService;
  readonly comfyui: DemoService;
  readonly broker: OpenBroker;
  /** Targets asked to leave since the last look, in order. */
  readonly left: () => string[];
  readonly facts: Fact[];
}

const SPEED = 30;

/** 24 GB: ollama with models of 4, 9 and 21 GB, beside a voice, another voice and a painter. */
async function openServices(t: TestContext, speed = SPEED): Promise<Services> {
  const ends: (() => Promise<void>)[] = [];
  const card = await openCardFor(t, 24_564, ends);
  const consumers: Record<string, unknown> = {};
  const open = async <T extends DemoService>(
    name: string,
    start: (options: { speed: number; card: ReturnType<SharedCard['open']> }) => Promise<T>,
    says: Readonly<Record<string, unknown>>,
  ): Promise<T> => {
    const tenant = card.open(name);
    const service = await start({ speed, card: tenant });
    ends.push(() => service.close());
    consumers[name] = { url: service.url, processes: { name: tenant.pattern }, ...says };
    return service;
  };
  const voice = {
    health: '/health',
    paths: { tts: '/v1/tts' },
    unload: 'POST /unload',
    vram_resident_mib: 4_310,
    vram_run_mib: 900,
  };
  const ollama = await open('ollama', startOllama, { kind: 'ollama', vram_run_mib: 400 });
  await open('mvoice', startMvoice, voice);
  await open('second-voice', startMvoice, voice);
  const comfyui = await open('comfyui', startComfyui, {
    kind: 'comfyui',
    vram_resident_mib: 6_500,
    vram_run_mib: 2_400,
  });
  const broker = await openBroker(
    t,
    {
      gpu: { source: 'nvidia-smi', interval: '250ms' },
      health: { interval: '250ms', timeout: '30s' },
      routes: { llm: 'ollama', tts: 'mvoice', image: 'comfyui' },
      consumers,
    },
    card.env(),
  );
  ends.unshift(broker.stop);
  const facts: Fact[] = [];
  broker.daemon.journal.subscribe(({ fact }) => facts.push(fact));
  await untilAllUp(broker);
  let looked = 0;
  const left = (): string[] => {
    const news = facts.slice(looked);
    looked = facts.length;
    return news.flatMap((fact) => (fact.type === 'target' && fact.to === 'evicting' ? [targetName(fact.target)] : []));
  };
  return { card, ollama, comfyui, broker, left, facts };
}

const chat = ({ broker }: Services, model: string, path = '/v1/llm') =>
  broker.call(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Why?' }], options: { num_predict: 3 } }),
  });
const speak = ({ broker }: Services, path: string) =>
  broker.call(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"text":"Yes."}' });

const paint = ({ broker }: Services, path: string) =>
  broker.call(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(PICTURE_REQUEST),
  });

test(
  'only what stands in the way is unloaded: models of ollama and services, by façade and prefix',
  ROOM_TEST,
  async (t) => {
    const room = await openServices(t);
    const leftBy = async (answer: Promise<{ status: number; text: string }>): Promise<string[]> => {
      const { status, text } = await answer;
      assert.equal(status, 200, text);
      return room.left().sort();
    };
    assert.deepEqual(await leftBy(speak(room, '/v1/tts')), []);
    assert.deepEqual(await leftBy(chat(room, 'llama3.2:3b')), []);
    assert.deepEqual(await leftBy(chat(room, 'qwen3:8b', '/consumers/ollama/api/chat')), []);
    assert.deepEqual(await leftBy(speak(room, '/consumers/second-voice/v1/tts')), [], 'all four fit');
    const least = ['mvoice', 'ollama/llama3.2:3b'];
    assert.deepEqual(await leftBy(paint(room, '/v1/image')), least, 'one model, not the whole of ollama');
    assert.deepEqual(await leftBy(chat(room, 'qwen3:8b')), [], 'it is still there');
    const rest = ['comfyui', 'ollama/qwen3:8b', 'second-voice'];
    assert.deepEqual(await leftBy(chat(room, 'qwen3:32b')), rest, 'it needs the whole card');
    assert.deepEqual(await leftBy(chat(room, 'llama3.2:3b', '/consumers/ollama/api/chat')), ['ollama/qwen3:32b']);
    assert.equal(room.card.refusals.length, 0);
  },
);

test(
  'a render begun from ComfyUI’s own page is respected: the LLM request waits with that reason, nobody is cut',
  ROOM_TEST,
  async (t) => {
    const room = await openServices(t, 3);
    const { comfyui, broker, card } = room;
    // What is known to be there leaves at once; of what is unknown nothing tells how long that takes.
    for (const path of ['/v1/tts', '/consumers/second-voice/v1/tts'])
      assert.equal((await speak(room, path)).status, 200);
    const render = structuredClone(PICTURE_REQUEST);
    render.prompt['5'].inputs.steps = 80;
    const queued = await fetch(`${comfyui.url}/prompt`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(render),
    });
    const { prompt_id: id } = JSON.parse(await queued.text());
    await comfyui.until(() => comfyui.work.length > 0);
    const answer = chat(room, 'qwen3:32b');
    const seen = new Set<string>();
    const isOver = (): boolean => (comfyui.work[0]?.endedAtMs ?? null) !== null;
    while (!isOver()) {
      for (const job of (await broker.status()).jobs) seen.add(job.reason?.code ?? job.state);
      await comfyui.until(isOver, 50).catch(() => undefined);
    }
    const { status, text } = await answer;
    assert.ok(seen.has('foreign_work'), `it waited with the reason foreign_work: ${[...seen].join(', ')}; ${text}`);
    assert.equal(status, 200, text);
    const history = JSON.parse(await (await fetch(`${comfyui.url}/history/${id}`)).text());
    assert.equal(history[id].status.status_str, 'success');
    const begun = room.ollama.seen.find(({ path }) => path === '/api/chat')?.startedAtMs ?? 0;
    assert.ok(begun > (comfyui.work[0]?.endedAtMs ?? Infinity), 'it began after the render');
    assert.equal(card.refusals.length, 0);
  },
);
