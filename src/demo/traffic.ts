/**
 * Clients for the demo (`--traffic`): a few people who speak, listen, chat and paint through the broker, with one
 * printed line a job. Real requests over HTTP, nothing else. Owns its requests; `stop` ends them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { PICTURE_REQUEST } from './welcome.js';

const CLIENTS = 3;
const LONGEST_PAUSE_MS = 3_000;
const POLL_MS = 500;
const SENTENCES = ['Is anybody there?', 'The kettle boils.', 'Please turn on the light.', 'One moment, I am thinking.'];
const QUESTIONS = ['What is a queue?', 'Tell me of the sea.', 'Why is memory short?', 'Who was here first?'];
const SCENES = [
  'a red desert under a violet sky',
  'a green forest',
  'the blue sea at night',
  'a gold sunset, soft hills',
];
/** Those that have room beside what cannot be unloaded: a third one would only ever be refused. */
const MODELS = ['llama3.2:3b', 'qwen3:8b'];

export interface TrafficOptions {
  readonly url: string;
  /** Pauses are divided by it. */
  readonly speed: number;
  readonly print: (text: string) => void;
}

export interface Traffic {
  stop(): Promise<void>;
}

const pick = <T>(list: readonly [T, ...T[]] | readonly T[], otherwise: T): T =>
  list[Math.floor(Math.random() * list.length)] ?? otherwise;

const spokenSchema = z.looseObject({ audio: z.string() });
const heardSchema = z.looseObject({ text: z.string() });
const queuedSchema = z.looseObject({ prompt_id: z.string() });

class Client {
  readonly #options: TrafficOptions;
  readonly #signal: AbortSignal;

  constructor(options: TrafficOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    const chores = [() => this.#talk(), () => this.#chat(), () => this.#chat(), () => this.#paint()];
    while (!this.#signal.aborted) {
      await this.#pause(Math.random() * LONGEST_PAUSE_MS);
      await pick(chores, () => this.#chat())();
    }
  }

  #pause(durationMs: number): Promise<void> {
    return sleep(durationMs / this.#options.speed, undefined, { signal: this.#signal });
  }

  /** One job; prints how long it took and how long it had to wait. A refusal is a line like any other. */
  async #job(path: string, label: string, body: string | FormData): Promise<string | null> {
    const startedAt = performance.now();
    const headers = typeof body === 'string' ? { 'Content-Type': 'application/json' } : {};
    const response = await fetch(`${this.#options.url}${path}`, {
      method: 'POST',
      headers,
      body,
      signal: this.#signal,
    });
    const text = await response.text();
    const tookS = ((performance.now() - startedAt) / 1000).toFixed(1);
    const queueMs = /queue;dur=([\d.]+)/.exec(response.headers.get('server-timing') ?? '')?.[1];
    const waited = queueMs === undefined ? '' : `, ${(Number(queueMs) / 1000).toFixed(1)} s of it waiting`;
    this.#options.print(`${label.padEnd(28)} ${response.status} in ${tookS} s${waited}\n`);
    return response.ok ? text : null;
  }

  async #talk(): Promise<void> {
    const text = pick(SENTENCES, '');
    const spoken = await this.#job('/v1/tts', 'tts', JSON.stringify({ text }));
    if (spoken === null) return;
    const { audio } = spokenSchema.parse(JSON.parse(spoken));
    const wav = await fetch(`${this.#options.url}${audio}`, { signal: this.#signal });
    const form = new FormData();
    form.set('file', new Blob([await wav.arrayBuffer()]), 'speech.wav');
    const heard = await this.#job('/v1/stt', 'stt', form);
    if (heard === null) return;
    const understood = heardSchema.parse(JSON.parse(heard)).text.trim();
    if (understood !== text) this.#options.print(`stt heard "${understood}" instead of "${text}"\n`);
  }

  async #chat(): Promise<void> {
    const model = pick(MODELS, '');
    const messages = [{ role: 'user', content: pick(QUESTIONS, '') }];
    await this.#job('/v1/llm', `llm ${model}`, JSON.stringify({ model, messages }));
  }

  async #paint(): Promise<void> {
    const graph = structuredClone(PICTURE_REQUEST);
    graph.prompt['2'].inputs.text = pick(SCENES, '');
    graph.prompt['5'].inputs.seed = Math.floor(Math.random() * 1e9);
    const queued = await this.#job('/v1/image', 'image', JSON.stringify(graph));
    if (queued === null) return;
    const { prompt_id: id } = queuedSchema.parse(JSON.parse(queued));
    for (let history = '{}'; history === '{}'; ) {
      await this.#pause(POLL_MS);
      const answer = await fetch(`${this.#options.url}/consumers/comfyui/history/${id}`, { signal: this.#signal });
      history = (await answer.text()).trim();
    }
    this.#options.print('image is painted\n');
  }
}

export function startTraffic(options: TrafficOptions): Traffic {
  const leaving = new AbortController();
  const clients = Array.from({ length: CLIENTS }, () =>
    new Client(options, leaving.signal).run().catch((error: unknown) => {
      if (leaving.signal.aborted) return;
      options.print(`a client of --traffic gave up: ${error instanceof Error ? error.message : String(error)}\n`);
    }),
  );
  return {
    stop: async () => {
      leaving.abort();
      await Promise.all(clients);
    },
  };
}
