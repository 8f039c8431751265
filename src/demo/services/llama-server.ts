/**
 * A stand-in for llama-server (b10573) with one model: chats, completions and embeddings of the OpenAI API with the
 * headers, events and errors of that version. Any name of a model is served. Owns its slots and nothing else.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { tellStory } from '../media/storyteller.js';
import type { Call } from './call.js';
import { ServiceHost } from './host.js';
import type { DemoService, DemoServiceOptions } from './service.js';
import { Turns } from './turns.js';

const BODY_LIMIT_BYTES = 64 * 1024 * 1024;
const SLOTS = 4;
const TOKEN_MS = 20;
const EMBEDDING_LENGTH = 64;
const MODEL = 'small.gguf';
const MODEL_MIB = 4_200;
const JSON_TYPE = { 'Content-Type': 'application/json; charset=utf-8' };

const streamOptions = z.object({ include_usage: z.boolean().nullish() }).nullish();
const shape = { stream: z.boolean().nullish(), stream_options: streamOptions, max_tokens: z.number().nullish() };
const chatSchema = z.object({
  ...shape,
  messages: z.array(z.object({ role: z.string(), content: z.unknown() })),
  tools: z.array(z.unknown()).nullish(),
});
const completionSchema = z.object({ ...shape, prompt: z.unknown() });
const embeddingSchema = z.object({
  input: z.union([z.string(), z.array(z.unknown())]),
  encoding_format: z.string().nullish(),
});

type Wish = Pick<z.infer<typeof chatSchema>, 'stream' | 'stream_options' | 'max_tokens'>;

/** How the pieces of one answer look, streamed and whole. */
interface Form {
  readonly object: string;
  readonly streamObject: string;
  piece(text: string | null, finish: string | null): object;
  whole(text: string, finish: string): object;
}

const CHAT: Form = {
  object: 'chat.completion',
  streamObject: 'chat.completion.chunk',
  piece: (text, finish) => ({ finish_reason: finish, index: 0, delta: text === null ? {} : { content: text } }),
  whole: (text, finish) => ({ finish_reason: finish, index: 0, message: { role: 'assistant', content: text } }),
};
const COMPLETION: Form = {
  object: 'text_completion',
  streamObject: 'text_completion',
  piece: (text, finish) => ({ text: text ?? '', index: 0, logprobs: null, finish_reason: finish }),
  whole: (text, finish) => ({ text, index: 0, logprobs: null, finish_reason: finish }),
};

class LlamaError extends Error {
  readonly status: number;
  readonly type: string;

  constructor(status: number, type: string, message: string) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

class LlamaServer {
  readonly #host: ServiceHost;
  readonly #turns = new Turns(SLOTS);
  #busy = 0;
  #count = 0;

  constructor(options: DemoServiceOptions) {
    this.#host = new ServiceHost(
      {
        name: 'llama-server',
        handle: (call) => this.#handle(call),
        failure: (call, error) => this.#fail(call, error),
        headers: { Server: 'llama.cpp', 'Access-Control-Allow-Origin': '' },
        sendsDate: false,
        bodyLimitBytes: BODY_LIMIT_BYTES,
      },
      options,
    );
  }

  async start(options: DemoServiceOptions): Promise<DemoService> {
    await this.#host.card.hold('model', MODEL_MIB);
    await this.#host.listen(options);
    return this.#host;
  }

  async #handle(call: Call): Promise<void> {
    switch (`${call.method === 'HEAD' ? 'GET' : call.method} ${call.path}`) {
      case 'GET /health':
      case 'GET /v1/health':
        return this.#json(call, { status: 'ok' });
      case 'GET /v1/models':
      case 'GET /models':
        return this.#json(call, this.#list());
      case 'GET /slots':
        return this.#json(
          call,
          Array.from({ length: SLOTS }, (_, id) => ({ id, n_ctx: 1024, is_processing: id < this.#busy })),
        );
      case 'POST /v1/chat/completions':
      case 'POST /chat/completions': {
        const { messages, ...wish } = await this.#parsed(call, chatSchema, "'messages' is required");
        return this.#generate(call, CHAT, JSON.stringify(messages.map(({ content }) => content)), wish);
      }
      case 'POST /v1/completions': {
        const { prompt, ...wish } = await this.#parsed(call, completionSchema, "'prompt' is required");
        return this.#generate(call, COMPLETION, JSON.stringify(prompt), wish);
      }
      case 'POST /v1/embeddings':
        return this.#embed(call);
      default:
        throw new LlamaError(404, 'not_found_error', 'File Not Found');
    }
  }

  #list(): object {
    const entry = { id: MODEL, aliases: [], tags: [], object: 'model', created: 1_790_838_000, owned_by: 'llamacpp' };
    return { models: [{ name: MODEL, model: MODEL }], object: 'list', data: [entry] };
  }

  async #parsed<T>(call: Call, schema: z.ZodType<T>, missing: string): Promise<T> {
    const text = (await call.body()).toString('utf8');
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new LlamaError(500, 'server_error', '[json.exception.parse_error.101] parse error: syntax error');
    }
    const parsed = schema.safeParse(value);
    if (!parsed.success) throw new LlamaError(400, 'invalid_request_error', missing);
    return parsed.data;
  }

  async #generate(call: Call, form: Form, prompt: string, wish: Wish): Promise<void> {
    await this.#inSlot(call, async () => {
      const story = tellStory({ model: MODEL, prompt, seed: 0 });
      const tokens = story.slice(0, wish.max_tokens ?? story.length);
      const finish = tokens.length < story.length ? 'length' : 'stop';
      if (wish.stream === true) await this.#stream(call, form, tokens, finish, wish);
      else await this.#whole(call, form, tokens, finish);
    });
  }

  #stamp(object: string): object {
    this.#count += 1;
    return {
      created: 1_795_592_811,
      model: MODEL,
      system_fingerprint: 'b10573',
      object,
      id: `chatcmpl-${this.#count}`,
    };
  }

  async #whole(call: Call, form: Form, tokens: readonly string[], finish: string): Promise<void> {
    // Nobody looks whether the client is still there: all tokens are made.
    for (const _ of tokens) await this.#host.pace(TOKEN_MS);
    if (call.ownFault === 'job-fails') throw new LlamaError(500, 'server_error', 'Compute error.');
    const choices = [form.whole(tokens.join(''), finish)];
    await this.#json(call, { choices, ...this.#stamp(form.object), usage: usageOf(tokens) });
  }

  async #stream(call: Call, form: Form, tokens: readonly string[], finish: string, wish: Wish): Promise<void> {
    const stamp = this.#stamp(form.streamObject);
    const say = (value: object) => call.write(`data: ${JSON.stringify(value)}\n\n`);
    call.startStream(200, { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });
    if (form === CHAT) {
      const delta = { role: 'assistant', content: null };
      await say({ choices: [{ finish_reason: null, index: 0, delta }], ...stamp });
    }
    for (const [index, token] of tokens.entries()) {
      await this.#host.pace(TOKEN_MS, call.signal);
      if (call.ownFault === 'job-fails' && index > 0) {
        await say({ error: { code: 500, message: 'Compute error.', type: 'server_error' } });
        return call.end();
      }
      await say({ choices: [form.piece(token, null)], ...stamp });
    }
    await say({ choices: [form.piece(null, finish)], ...stamp });
    if (wish.stream_options?.include_usage === true) await say({ choices: [], ...stamp, usage: usageOf(tokens) });
    await call.write('data: [DONE]\n\n');
    await call.end();
  }

  async #embed(call: Call): Promise<void> {
    const { input, encoding_format } = await this.#parsed(call, embeddingSchema, "'input' is required");
    await this.#inSlot(call, async () => {
      const data = (typeof input === 'string' ? [input] : input).map((text, index) => {
        const floats = vectorOf(JSON.stringify(text));
        const embedding = encoding_format === 'base64' ? base64Of(floats) : floats;
        return { embedding, index, object: 'embedding' };
      });
      await this.#json(call, { model: MODEL, object: 'list', usage: { prompt_tokens: 2, total_tokens: 2 }, data });
    });
  }

  async #inSlot(call: Call, work: () => Promise<void>): Promise<void> {
    if (call.ownFault === 'out-of-memory')
      throw new LlamaError(500, 'server_error', 'cudaMalloc failed: out of memory');
    const giveBack = await this.#turns.take(call.signal);
    const endWork = this.#host.beginWork(MODEL);
    this.#busy += 1;
    try {
      await work();
    } finally {
      this.#busy -= 1;
      endWork();
      giveBack();
    }
  }

  #json(call: Call, value: unknown, status = 200): Promise<void> {
    return call.reply(status, JSON_TYPE, JSON.stringify(value));
  }

  async #fail(call: Call, error: unknown): Promise<void> {
    if (call.begun) call.reset();
    else {
      const { status, type } = error instanceof LlamaError ? error : { status: 500, type: 'server_error' };
      const message = error instanceof Error ? error.message : String(error);
      await this.#json(call, { error: { code: status, message, type } }, status);
    }
  }
}

const usageOf = (tokens: readonly string[]): object => ({
  completion_tokens: tokens.length,
  prompt_tokens: 21,
  total_tokens: tokens.length + 21,
});

function vectorOf(text: string): number[] {
  const raw = [...createHash('sha512').update(text).digest()]
    .slice(0, EMBEDDING_LENGTH)
    .map((byte) => byte / 127.5 - 1);
  const length = Math.hypot(...raw);
  return raw.map((value) => Math.fround(value / length));
}

function base64Of(floats: readonly number[]): string {
  const bytes = Buffer.alloc(floats.length * 4);
  for (const [index, value] of floats.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString('base64');
}

export function startLlamaServer(options: DemoServiceOptions = {}): Promise<DemoService> {
  return new LlamaServer(options).start(options);
}
