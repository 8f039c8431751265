/** The services themselves on a card that is too small for all of them, and the daemon in front, for one test. */
import type { TestContext } from 'node:test';
import type { Fact } from '../../src/core/facts.js';
import { targetName } from '../../src/core/vocabulary.js';
import { startComfyui } from '../../src/demo/services/comfyui.js';
import { startMvoice } from '../../src/demo/services/mvoice.js';
import { startOllama } from '../../src/demo/services/ollama.js';
import type { DemoService } from '../../src/demo/services/service.js';
import type { SharedCard } from '../../src/demo/shared-card.js';
import { PICTURE_REQUEST } from '../../src/demo/welcome.js';
import { textAt } from './json-value.js';
import { type OpenBroker, openBroker, untilAllUp } from './open-broker.js';
import { openCardFor } from './room.js';
import type { WireAnswer } from './wire.js';

export interface CrowdedServices {
  readonly card: SharedCard;
  readonly ollama: DemoService;
  readonly comfyui: DemoService;
  readonly broker: OpenBroker;
  /** Targets asked to leave since the last look, in order. */
  readonly left: () => string[];
  readonly facts: Fact[];
}

/** `speed`: so many times as fast as they say. 24 GB: ollama with models of 4, 9 and 21 GB, beside a voice, another voice and a painter. */
export async function openCrowdedServices(t: TestContext, speed: number): Promise<CrowdedServices> {
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

export const chat = ({ broker }: CrowdedServices, model: string, path = '/v1/llm'): Promise<WireAnswer> =>
  broker.call(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Why?' }], options: { num_predict: 3 } }),
  });
export const speak = ({ broker }: CrowdedServices, path: string): Promise<WireAnswer> =>
  broker.call(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"text":"Yes."}' });

export const paint = ({ broker }: CrowdedServices, path: string): Promise<WireAnswer> =>
  broker.call(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(PICTURE_REQUEST),
  });

/** A render of so many steps, put into ComfyUI's queue past the broker; its prompt id. */
export async function renderPastUs({ comfyui }: CrowdedServices, steps: number): Promise<string> {
  const render = structuredClone(PICTURE_REQUEST);
  render.prompt['5'].inputs.steps = steps;
  const headers = { 'content-type': 'application/json' };
  const queued = await fetch(`${comfyui.url}/prompt`, { method: 'POST', headers, body: JSON.stringify(render) });
  return textAt(await queued.json(), 'prompt_id');
}

/** How its history says that it ended. */
export async function endOfRender({ comfyui }: CrowdedServices, id: string): Promise<string> {
  const history: unknown = await (await fetch(`${comfyui.url}/history/${id}`)).json();
  return textAt(history, id, 'status', 'status_str');
}
