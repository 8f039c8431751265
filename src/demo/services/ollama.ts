/**
 * A stand-in for ollama (0.33): its native and OpenAI routes on a few pretend models, its error texts, and its refusal of foreign
 * Host and Origin headers. Owns the routes; jobs are in `ollama-jobs.ts`, models on the card in `ollama-runners.ts`.
 */
import type { z } from 'zod';
import { CardFull } from '../card.js';
import type { Call } from './call.js';
import { ServiceHost } from './host.js';
import { chatVoice, generateVoice, OllamaJobs, replyJson } from './ollama-jobs.js';
import {
  DEMO_MODELS,
  type DemoModel,
  detailsOf,
  digestOf,
  fullModelName,
  showAnswer,
  tagEntry,
} from './ollama-models.js';
import {
  OllamaOpenai,
  openaiChatSchema,
  openaiCompletionSchema,
  openaiEmbeddingSchema,
  openaiError,
} from './ollama-openai.js';
import { type Runner, Runners, ServerBusy } from './ollama-runners.js';
import { anthropicError, messagesSchema, OllamaTyped, responsesSchema } from './ollama-typed.js';
import {
  chatSchema,
  embedSchema,
  generateSchema,
  goJson,
  goTime,
  namedSchema,
  OllamaError,
  parseBody,
} from './ollama-wire.js';
import type { DemoService, DemoServiceOptions } from './service.js';

const BODY_LIMIT_BYTES = 64 * 1024 * 1024;
const VERSION = '0.33.0';
const BYTES_PER_MIB = 1024 * 1024;
const LOCAL_HOST = /^(\[[0-9a-f:]+\]|\d+\.\d+\.\d+\.\d+|localhost|[\w.-]+\.(localhost|local|internal))(:\d+)?$/i;
const LOCAL_ORIGIN =
  /^https?:\/\/(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(:\d+)?$|^(app|file|tauri|vscode-\w+):\/\//i;

type Route = (call: Call) => Promise<void>;

class Ollama {
  readonly #host: ServiceHost;
  readonly #runners: Runners;
  readonly #jobs: OllamaJobs;
  readonly #openai: OllamaOpenai;
  readonly #typed: OllamaTyped;
  readonly #models = new Map<string, DemoModel>(DEMO_MODELS.map((model) => [model.name, model]));
  readonly #routes: ReadonlyMap<string, Readonly<Record<string, Route>>>;

  constructor(options: DemoServiceOptions) {
    this.#host = new ServiceHost(
      {
        name: 'ollama',
        handle: (call) => this.#handle(call),
        failure: (call, error) => this.#fail(call, error),
        headers: {},
        sendsDate: true,
        bodyLimitBytes: BODY_LIMIT_BYTES,
      },
      options,
    );
    this.#runners = new Runners(this.#host);
    this.#jobs = new OllamaJobs(this.#host, this.#runners);
    this.#openai = new OllamaOpenai(this.#host, this.#jobs);
    this.#typed = new OllamaTyped(this.#host, this.#jobs);
    this.#host.closing.signal.addEventListener('abort', () => this.#runners.close());
    this.#routes = this.#table();
  }

  async listen(options: DemoServiceOptions): Promise<DemoService> {
    await this.#host.listen(options);
    return this.#host;
  }

  #table(): ReadonlyMap<string, Readonly<Record<string, Route>>> {
    const version: Route = (call) => replyJson(call, { version: VERSION });
    const tags: Route = (call) => replyJson(call, { models: [...this.#models.values()].map(tagEntry) });
    const embed: Route = (call) =>
      this.#job(call, embedSchema, (model, request) => this.#jobs.embed(call, model, request));
    const text = { 'Content-Type': 'text/plain; charset=utf-8' };
    const root: Route = (call) => call.reply(200, text, 'Ollama is running');
    return new Map<string, Readonly<Record<string, Route>>>([
      ['/', { GET: root, HEAD: root }],
      ['/api/version', { GET: version, HEAD: version }],
      ['/api/tags', { GET: tags, HEAD: tags }],
      ['/api/ps', { GET: (call) => replyJson(call, { models: this.#runners.list().map(psEntry) }) }],
      ['/v1/models', { GET: (call) => replyJson(call, this.#openaiList()) }],
      ...this.#openaiTable(),
      ['/api/show', { POST: (call) => this.#show(call) }],
      [
        '/api/generate',
        {
          POST: (call) =>
            this.#job(call, generateSchema, (model, request) =>
              this.#jobs.complete(call, model, request, generateVoice(request)),
            ),
        },
      ],
      [
        '/api/chat',
        {
          POST: (call) =>
            this.#job(call, chatSchema, (model, request) =>
              this.#jobs.complete(call, model, request, chatVoice(request)),
            ),
        },
      ],
      ['/api/embed', { POST: embed }],
      ['/api/embeddings', { POST: embed }],
      ['/api/pull', { POST: (call) => this.#pull(call) }],
      ['/api/delete', { DELETE: (call) => this.#delete(call) }],
    ]);
  }

  #openaiTable(): [string, Readonly<Record<string, Route>>][] {
    const openai = this.#openai;
    const typed = this.#typed;
    return [
      [
        '/v1/chat/completions',
        { POST: (call) => this.#job(call, openaiChatSchema, (model, asked) => openai.chat(call, model, asked)) },
      ],
      [
        '/v1/completions',
        {
          POST: (call) =>
            this.#job(call, openaiCompletionSchema, (model, asked) => openai.completion(call, model, asked)),
        },
      ],
      [
        '/v1/embeddings',
        {
          POST: (call) =>
            this.#job(call, openaiEmbeddingSchema, (model, asked) => openai.embeddings(call, model, asked)),
        },
      ],
      [
        '/v1/responses',
        { POST: (call) => this.#job(call, responsesSchema, (model, asked) => typed.responses(call, model, asked)) },
      ],
      [
        '/v1/messages',
        { POST: (call) => this.#job(call, messagesSchema, (model, asked) => typed.messages(call, model, asked)) },
      ],
    ];
  }

  async #handle(call: Call): Promise<void> {
    if (this.#foreign(call)) return call.reply(403, {});
    const methods = this.#routes.get(call.path) ?? this.#oneModel(call.path);
    const text = { 'Content-Type': 'text/plain' };
    if (methods === undefined) return call.reply(404, text, '404 page not found');
    const route = methods[call.method];
    if (route === undefined)
      return call.reply(405, { ...text, Allow: Object.keys(methods).join(', ') }, '405 method not allowed');
    await route(call);
  }

  /** `GET /v1/models/NAME`; a name with a slash must come encoded. */
  #oneModel(path: string): Readonly<Record<string, Route>> | undefined {
    const [, encoded] = /^\/v1\/models\/([^/]+)$/.exec(path) ?? [];
    if (encoded === undefined) return undefined;
    return { GET: (call) => replyJson(call, openaiEntry(this.#find(decodeURIComponent(encoded)))) };
  }

  /** Bound to loopback it answers only local names, and no web page of another origin. */
  #foreign(call: Call): boolean {
    const { host = '', origin } = call.headers;
    return !LOCAL_HOST.test(host) || (origin !== undefined && !LOCAL_ORIGIN.test(origin));
  }

  async #job<T extends { readonly model: string }>(
    call: Call,
    schema: z.ZodType<T>,
    run: (model: DemoModel, request: T) => Promise<void>,
  ): Promise<void> {
    const request = parseBody(schema, await call.body());
    if (request.model === '') throw new OllamaError(400, 'model is required');
    await run(this.#find(request.model), request);
  }

  #find(name: string): DemoModel {
    const model = this.#models.get(fullModelName(name));
    if (model === undefined) throw new OllamaError(404, `model '${name}' not found`);
    return model;
  }

  async #named(call: Call): Promise<string> {
    const { model, name } = parseBody(namedSchema, await call.body());
    const wanted = model ?? name ?? '';
    if (wanted === '') throw new OllamaError(400, 'model is required');
    return wanted;
  }

  async #show(call: Call): Promise<void> {
    await replyJson(call, showAnswer(this.#find(await this.#named(call))));
  }

  /** Knows the demo's models only; one that was deleted comes back. */
  async #pull(call: Call): Promise<void> {
    const name = fullModelName(await this.#named(call));
    const model = DEMO_MODELS.find((each) => each.name === name);
    call.startStream(200, { 'Content-Type': 'application/x-ndjson' });
    await call.write(`${goJson({ status: 'pulling manifest' })}\n`);
    if (model === undefined) {
      await call.write(`${goJson({ error: 'pull model manifest: file does not exist' })}\n`);
    } else {
      this.#models.set(model.name, model);
      await call.write(`${goJson({ status: 'success' })}\n`);
    }
    await call.end();
  }

  async #delete(call: Call): Promise<void> {
    const model = this.#find(await this.#named(call));
    this.#runners.expire(model);
    this.#models.delete(model.name);
    await call.reply(200, {});
  }

  #openaiList(): object {
    return { object: 'list', data: [...this.#models.values()].map(openaiEntry) };
  }

  async #fail(call: Call, error: unknown): Promise<void> {
    if (call.begun) {
      call.reset();
      return;
    }
    const say = (text: string, status: number) => replyJson(call, errorOf(call.path, text, status), status);
    if (error instanceof OllamaError) await say(error.message, error.status);
    else if (error instanceof ServerBusy) await say(error.message, 503);
    else if (error instanceof CardFull) {
      const text = `llama-server reported out-of-memory during startup: cudaMalloc failed: out of memory (${error.message})`;
      await say(text, 500);
    } else await say(error instanceof Error ? error.message : String(error), 500);
  }
}

function errorOf(path: string, text: string, status: number): object {
  if (path === '/v1/messages') return anthropicError(text, status);
  return path.startsWith('/v1/') ? openaiError(text, status) : { error: text };
}

const openaiEntry = ({ name }: DemoModel): object => ({
  ...{ id: name, object: 'model', created: 1_790_838_000, owned_by: 'library' },
});

function psEntry(runner: Runner): object {
  const sizeBytes = runner.model.vramMib * BYTES_PER_MIB;
  return {
    name: runner.model.name,
    model: runner.model.name,
    size: sizeBytes,
    digest: digestOf(runner.model),
    details: detailsOf(runner.model),
    expires_at: goTime(runner.expiresAt),
    size_vram: sizeBytes,
    context_length: runner.model.contextLength,
  };
}

export function startOllama(options: DemoServiceOptions = {}): Promise<DemoService> {
  return new Ollama(options).listen(options);
}
