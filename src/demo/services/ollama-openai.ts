/**
 * The OpenAI routes of the stand-in for ollama (0.33), with what is peculiar to them: streaming is off by default,
 * `max_tokens` is read and `max_completion_tokens` is not, a failure in mid-stream comes out as an empty delta and an
 * early end. Owns nothing; models on the card are `Runners`' business.
 */
import { z } from 'zod';
import { tellStory } from '../media/storyteller.js';
import type { Call } from './call.js';
import type { ServiceHost } from './host.js';
import { embeddingOf, type OllamaJobs, replyJson } from './ollama-jobs.js';
import type { DemoModel } from './ollama-models.js';
import { goJson, OllamaError } from './ollama-wire.js';

const PROMPT_TOKEN_MS = 1;
const RUNNER_DIED = 'model runner has unexpectedly stopped';

const partSchema = z.looseObject({ type: z.string(), text: z.string().optional() });
const shape = {
  model: z.string().default(''),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: z.number().nullish(),
  seed: z.number().nullish(),
};
export const openaiChatSchema = z.object({
  ...shape,
  messages: z.array(z.object({ role: z.string(), content: z.union([z.string(), z.array(partSchema)]).nullish() })),
});
export const openaiCompletionSchema = z.object({ ...shape, prompt: z.string() });
export const openaiEmbeddingSchema = z.object({
  model: z.string().default(''),
  input: z.union([z.string(), z.array(z.string())]),
  encoding_format: z.enum(['float', 'base64']).nullish(),
});

type Wish = Omit<z.infer<typeof openaiChatSchema>, 'messages'>;

/** What tells a chat from a completion. */
interface Form {
  readonly id: string;
  readonly whole: string;
  readonly piece: string;
  choice(text: string, finish: string | null, streams: boolean): object;
}

const CHAT: Form = {
  id: 'chatcmpl',
  whole: 'chat.completion',
  piece: 'chat.completion.chunk',
  choice: (content, finish_reason, streams) => ({
    index: 0,
    [streams ? 'delta' : 'message']: { role: 'assistant', content },
    finish_reason,
  }),
};
const COMPLETION: Form = {
  id: 'cmpl',
  whole: 'text_completion',
  piece: 'text_completion',
  choice: (text, finish_reason) => ({ text, index: 0, finish_reason }),
};

const usageOf = (prompt: number, completion: number): object => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
});

export class OllamaOpenai {
  readonly #host: ServiceHost;
  readonly #jobs: OllamaJobs;
  #count = 100;

  constructor(host: ServiceHost, jobs: OllamaJobs) {
    this.#host = host;
    this.#jobs = jobs;
  }

  chat(call: Call, model: DemoModel, { messages, ...wish }: z.infer<typeof openaiChatSchema>): Promise<void> {
    const texts = messages.flatMap(({ content }) =>
      typeof content === 'string' ? [content] : (content ?? []).map(({ text }) => text ?? ''),
    );
    return this.#complete(call, model, CHAT, texts.join('\n'), wish);
  }

  completion(call: Call, model: DemoModel, { prompt, ...wish }: z.infer<typeof openaiCompletionSchema>): Promise<void> {
    return this.#complete(call, model, COMPLETION, prompt, wish);
  }

  async embeddings(
    call: Call,
    model: DemoModel,
    { model: asked, input, encoding_format }: z.infer<typeof openaiEmbeddingSchema>,
  ): Promise<void> {
    const texts = typeof input === 'string' ? [input] : input;
    await this.#jobs.withRunner(call, model, null, async () => {
      const data = texts.map((text, index) => {
        const floats = embeddingOf(model, text);
        const embedding = encoding_format === 'base64' ? base64Of(floats) : floats;
        return { object: 'embedding', embedding, index };
      });
      const tokens = Math.ceil(texts.join(' ').length / 4);
      const usage = { prompt_tokens: tokens, total_tokens: tokens };
      await replyJson(call, { object: 'list', data, model: asked, usage });
    });
  }

  async #complete(call: Call, model: DemoModel, form: Form, prompt: string, wish: Wish): Promise<void> {
    if (!model.capabilities.includes('completion')) {
      throw new OllamaError(400, `"${model.name}" does not support ${form === CHAT ? 'chat' : 'generate'}`);
    }
    await this.#jobs.withRunner(call, model, null, async () => {
      const story = tellStory({ model: model.name, prompt, seed: wish.seed ?? 0 });
      const tokens = story.slice(0, wish.max_tokens ?? story.length);
      const finish = tokens.length < story.length ? 'length' : 'stop';
      const promptTokens = Math.max(1, Math.ceil(prompt.length / 4));
      await this.#host.pace(promptTokens * PROMPT_TOKEN_MS, call.signal);
      this.#count += 1;
      const stamp = {
        ...{ id: `${form.id}-${this.#count}`, object: form.whole, created: Math.floor(Date.now() / 1000) },
        ...{ model: wish.model, system_fingerprint: 'fp_ollama' },
      };
      const told = { form, tokens, finish, model, usage: usageOf(promptTokens, tokens.length) };
      if (wish.stream === true) {
        await this.#stream(call, { ...stamp, object: form.piece }, told, wish.stream_options?.include_usage === true);
      } else await this.#whole(call, stamp, told);
    });
  }

  async #whole(call: Call, stamp: object, { form, tokens, finish, model, usage }: Told): Promise<void> {
    for (const _ of tokens) await this.#host.pace(model.tokenMs, call.signal);
    if (call.ownFault === 'job-fails') throw new OllamaError(500, RUNNER_DIED);
    await replyJson(call, { ...stamp, choices: [form.choice(tokens.join(''), finish, false)], usage });
  }

  async #stream(call: Call, stamp: object, told: Told, wantsUsage: boolean): Promise<void> {
    const { form, tokens, finish, model, usage } = told;
    const say = (value: object) => call.write(`data: ${goJson({ ...stamp, ...value })}\n\n`);
    // A completion's pieces carry a usage without figures.
    const none = form === COMPLETION ? { usage: usageOf(0, 0) } : {};
    call.startStream(200, { 'Content-Type': 'text/event-stream' });
    for (const [index, token] of tokens.entries()) {
      await this.#host.pace(model.tokenMs, call.signal);
      if (call.ownFault === 'job-fails' && index > 0) {
        // Its error runs through the writer of chunks.
        await say({ choices: [form.choice('', null, true)], ...none });
        return call.end();
      }
      await say({ choices: [form.choice(token, null, true)], ...none });
    }
    await say({ choices: [form.choice('', finish, true)], ...none });
    if (wantsUsage) await say({ choices: [], usage });
    await call.write('data: [DONE]\n\n');
    await call.end();
  }
}

interface Told {
  readonly form: Form;
  readonly tokens: readonly string[];
  readonly finish: string;
  readonly model: DemoModel;
  readonly usage: object;
}

/** Little-endian 32-bit floats. */
function base64Of(floats: readonly number[]): string {
  const bytes = Buffer.alloc(floats.length * 4);
  for (const [index, value] of floats.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString('base64');
}

/** Errors below `/v1` have OpenAI's shape. */
export function openaiError(message: string, status: number): object {
  const type = status === 400 ? 'invalid_request_error' : status === 404 ? 'not_found_error' : 'api_error';
  return { error: { message, type, param: null, code: null } };
}
