/**
 * The native jobs of the stand-in for ollama: generate, chat, embed, and what an empty prompt means (load, or unload
 * with `keep_alive: 0`). Streams one JSON line a token. Owns nothing; models on the card are `Runners`' business.
 */
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { tellStory } from '../media/storyteller.js';
import type { Call } from './call.js';
import type { ServiceHost } from './host.js';
import type { DemoModel } from './ollama-models.js';
import type { Runner, Runners } from './ollama-runners.js';
import {
  type chatSchema,
  type embedSchema,
  type generateSchema,
  goJson,
  goTime,
  nanoseconds,
  OllamaError,
} from './ollama-wire.js';

const EMBEDDING_LENGTH = 64;
const PROMPT_TOKEN_MS = 1;

/** The part in which generate and chat differ: where the text goes. */
interface Voice {
  readonly prompt: string;
  readonly empty: boolean;
  piece(text: string): object;
}

type JobRequest = z.infer<typeof generateSchema> | z.infer<typeof chatSchema>;

export function generateVoice(request: z.infer<typeof generateSchema>): Voice {
  return {
    prompt: `${request.system}\n${request.prompt}`.trim(),
    empty: request.prompt === '',
    piece: (text) => ({ response: text }),
  };
}

export function chatVoice(request: z.infer<typeof chatSchema>): Voice {
  const messages = request.messages ?? [];
  return {
    prompt: messages.map((message) => message.content).join('\n'),
    empty: messages.length === 0,
    piece: (text) => ({ message: { role: 'assistant', content: text } }),
  };
}

export class OllamaJobs {
  readonly #host: ServiceHost;
  readonly #runners: Runners;

  constructor(host: ServiceHost, runners: Runners) {
    this.#host = host;
    this.#runners = runners;
  }

  async complete(call: Call, model: DemoModel, request: JobRequest, voice: Voice): Promise<void> {
    if (voice.empty && request.keep_alive === 0) {
      this.#runners.expire(model);
      return this.#replyOnly(call, model, voice, 'unload');
    }
    if (!model.capabilities.includes('completion')) {
      throw new OllamaError(
        400,
        `"${model.name}" does not support ${call.path.endsWith('/chat') ? 'chat' : 'generate'}`,
      );
    }
    await this.withRunner(call, model, request.keep_alive, async (runner, startedAt) => {
      if (voice.empty) return this.#replyOnly(call, model, voice, 'load');
      await this.#tell(call, runner, request, voice, startedAt);
    });
  }

  async embed(call: Call, model: DemoModel, request: z.infer<typeof embedSchema>): Promise<void> {
    const input = request.input ?? request.prompt ?? [];
    const texts = typeof input === 'string' ? [input] : input;
    if (texts.length === 0 && request.keep_alive === 0) this.#runners.expire(model);
    const embeddings = texts.map((text) => embeddingOf(model, text));
    await this.withRunner(call, model, request.keep_alive, async (runner, startedAt) => {
      const total = nanoseconds(performance.now() - startedAt);
      const legacy = call.path === '/api/embeddings';
      const answer = legacy
        ? { embedding: embeddings[0] ?? [] }
        : {
            model: model.name,
            embeddings,
            total_duration: total,
            load_duration: nanoseconds(runner.loadMs),
            prompt_eval_count: texts.join(' ').length,
          };
      await replyJson(call, answer);
    });
  }

  /** Loads the model if need be, then waits for its one place: requests for one model run one after another. */
  async withRunner(
    call: Call,
    model: DemoModel,
    keepAliveMs: number | null,
    action: (runner: Runner, startedAt: number) => Promise<void>,
  ): Promise<void> {
    const startedAt = performance.now();
    if (call.ownFault === 'out-of-memory') {
      throw new OllamaError(
        500,
        'llama-server reported out-of-memory during startup: cudaMalloc failed: out of memory',
      );
    }
    const runner = await this.#runners.acquire(model, keepAliveMs, call.signal);
    try {
      const giveBack = await runner.turn.take(call.signal);
      const endWork = this.#host.beginWork(model.name);
      try {
        await action(runner, startedAt);
      } finally {
        endWork();
        giveBack();
      }
    } finally {
      this.#runners.release(runner);
    }
  }

  async #replyOnly(call: Call, model: DemoModel, voice: Voice, reason: 'load' | 'unload'): Promise<void> {
    await replyJson(call, { ...this.#stamp(model), ...voice.piece(''), done: true, done_reason: reason });
  }

  #stamp(model: DemoModel): object {
    return { model: model.name, created_at: goTime(new Date()) };
  }

  async #tell(call: Call, runner: Runner, request: JobRequest, voice: Voice, startedAt: number): Promise<void> {
    const { model } = runner;
    const streams = request.stream !== false;
    const limit = request.options?.num_predict ?? -1;
    const story = tellStory({ model: model.name, prompt: voice.prompt, seed: request.options?.seed ?? 0 });
    const tokens = limit >= 0 ? story.slice(0, limit) : story;
    const promptTokens = Math.max(1, Math.ceil(voice.prompt.length / 4));
    const readAt = performance.now();
    await this.#host.pace(promptTokens * PROMPT_TOKEN_MS, call.signal);
    const toldAt = performance.now();
    if (call.ownFault === 'job-fails' && !streams) throw new OllamaError(500, 'model runner has unexpectedly stopped');
    if (streams) call.startStream(200, { 'Content-Type': 'application/x-ndjson' });
    for (const [index, token] of tokens.entries()) {
      await this.#host.pace(model.tokenMs, call.signal);
      if (call.ownFault === 'job-fails' && index > 0) {
        // An error after the first byte: the status stays 200, one line says it, and no `done:true` follows.
        await call.write(`${goJson({ error: 'model runner has unexpectedly stopped' })}\n`);
        return call.end();
      }
      if (streams) await call.write(`${goJson({ ...this.#stamp(model), ...voice.piece(token), done: false })}\n`);
    }
    const last = {
      ...this.#stamp(model),
      ...voice.piece(streams ? '' : tokens.join('')),
      done: true,
      done_reason: tokens.length < story.length ? 'length' : 'stop',
      total_duration: nanoseconds(performance.now() - startedAt),
      load_duration: nanoseconds(readAt - startedAt),
      prompt_eval_count: promptTokens,
      prompt_eval_duration: nanoseconds(toldAt - readAt),
      eval_count: tokens.length,
      eval_duration: nanoseconds(performance.now() - toldAt),
    };
    if (!streams) return replyJson(call, last);
    await call.write(`${goJson(last)}\n`);
    await call.end();
  }
}

export const replyJson = (call: Call, value: unknown, status = 200): Promise<void> =>
  call.reply(status, { 'Content-Type': 'application/json; charset=utf-8' }, goJson(value));

/** A unit vector made of the text's digest: the same text gives the same one. */
export function embeddingOf(model: DemoModel, text: string): number[] {
  const bytes = createHash('sha512').update(`${model.name}\n${text}`).digest();
  const raw = [...bytes].slice(0, EMBEDDING_LENGTH).map((byte) => byte / 127.5 - 1);
  const length = Math.hypot(...raw);
  return raw.map((value) => value / length);
}
