/**
 * `/v1/responses` and `/v1/messages` of the stand-in for ollama (0.33): answers and streams whose events have names,
 * no `[DONE]`. Neither keeps anything: a `previous_response_id` is passed over. Owns nothing; models on the card are
 * `Runners`' business.
 */
import { z } from 'zod';
import { tellStory } from '../media/storyteller.js';
import type { Call } from './call.js';
import type { ServiceHost } from './host.js';
import { type OllamaJobs, replyJson } from './ollama-jobs.js';
import type { DemoModel } from './ollama-models.js';
import { goJson, OllamaError } from './ollama-wire.js';

const RUNNER_DIED = 'model runner has unexpectedly stopped';

const contentSchema = z.union([z.string(), z.array(z.looseObject({ text: z.string().optional() }))]).nullish();
const messageSchema = z.looseObject({ content: contentSchema });
const shape = { model: z.string().default(''), stream: z.boolean().nullish() };
export const responsesSchema = z.object({
  ...shape,
  input: z.union([z.string(), z.array(messageSchema)]),
  max_output_tokens: z.number().nullish(),
});
export const messagesSchema = z.object({
  ...shape,
  messages: z.array(messageSchema),
  max_tokens: z.number().nullish(),
});

const textOf = (content: z.infer<typeof contentSchema>): string =>
  typeof content === 'string' ? content : (content ?? []).map(({ text }) => text ?? '').join('');

interface Told {
  readonly id: string;
  readonly model: string;
  readonly tokens: readonly string[];
  readonly isCut: boolean;
  readonly promptTokens: number;
}

type Event = Readonly<Record<string, unknown>> & { readonly type: string };

/** How one of the two APIs tells a text: before it, one piece, after it, and whole. */
interface Api {
  readonly idPrefix: string;
  before(told: Told): readonly Event[];
  piece(told: Told, token: string): Event;
  after(told: Told): readonly Event[];
  whole(told: Told): object;
  /** ollama's own failure in mid-stream. */
  failed(told: Told): Event;
}

const outputItem = ({ id, tokens }: Told, isWhole: boolean): object => ({
  ...{ id: `msg_${id}`, type: 'message', status: isWhole ? 'completed' : 'in_progress', role: 'assistant' },
  content: isWhole ? [outputText(tokens.join(''))] : [],
});
const outputText = (text: string): object => ({ type: 'output_text', text, annotations: [], logprobs: [] });

function response(told: Told, status: string): object {
  const isOver = status !== 'in_progress';
  const { tokens, promptTokens } = told;
  const total = promptTokens + tokens.length;
  return {
    ...{ id: told.id, object: 'response', created_at: Math.floor(Date.now() / 1000), status, model: told.model },
    ...{ error: null, incomplete_details: told.isCut && isOver ? { reason: 'max_output_tokens' } : null },
    output: isOver ? [outputItem(told, true)] : [],
    usage: isOver ? { input_tokens: promptTokens, output_tokens: tokens.length, total_tokens: total } : null,
  };
}
const endOf = ({ isCut }: Told): 'incomplete' | 'completed' => (isCut ? 'incomplete' : 'completed');
const PLACE = { output_index: 0, content_index: 0 };

const RESPONSES: Api = {
  idPrefix: 'resp_',
  before: (told) => [
    { type: 'response.created', response: response(told, 'in_progress') },
    { type: 'response.in_progress', response: response(told, 'in_progress') },
    { type: 'response.output_item.added', output_index: 0, item: outputItem(told, false) },
    { type: 'response.content_part.added', item_id: `msg_${told.id}`, ...PLACE, part: outputText('') },
  ],
  piece: ({ id }, delta) => ({ type: 'response.output_text.delta', item_id: `msg_${id}`, ...PLACE, delta }),
  after: (told) => [
    { type: 'response.output_text.done', item_id: `msg_${told.id}`, ...PLACE, text: told.tokens.join('') },
    { type: 'response.content_part.done', item_id: `msg_${told.id}`, ...PLACE, part: outputText(told.tokens.join('')) },
    { type: 'response.output_item.done', output_index: 0, item: outputItem(told, true) },
    { type: `response.${endOf(told)}`, response: response(told, endOf(told)) },
  ],
  whole: (told) => response(told, endOf(told)),
  failed: (told) => ({
    type: 'response.failed',
    response: { ...response(told, 'failed'), error: { code: 'server_error', message: RUNNER_DIED } },
  }),
};

function message(told: Told, isWhole: boolean): object {
  const { tokens, promptTokens } = told;
  return {
    ...{ id: told.id, type: 'message', role: 'assistant', model: told.model },
    content: isWhole ? [{ type: 'text', text: tokens.join('') }] : [],
    ...{ stop_reason: isWhole ? stopOf(told) : null, stop_sequence: null },
    usage: { input_tokens: promptTokens, output_tokens: isWhole ? tokens.length : 0 },
  };
}
const stopOf = ({ isCut }: Told): string => (isCut ? 'max_tokens' : 'end_turn');

const MESSAGES: Api = {
  idPrefix: 'msg_',
  before: (told) => [
    { type: 'message_start', message: message(told, false) },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  ],
  piece: (_told, text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }),
  after: (told) => [
    { type: 'content_block_stop', index: 0 },
    {
      type: 'message_delta',
      delta: { stop_reason: stopOf(told), stop_sequence: null },
      usage: { output_tokens: told.tokens.length },
    },
    { type: 'message_stop' },
  ],
  whole: (told) => message(told, true),
  failed: () => ({ type: 'error', error: { type: 'api_error', message: RUNNER_DIED } }),
};

export class OllamaTyped {
  readonly #host: ServiceHost;
  readonly #jobs: OllamaJobs;
  #count = 100;

  constructor(host: ServiceHost, jobs: OllamaJobs) {
    this.#host = host;
    this.#jobs = jobs;
  }

  responses(call: Call, model: DemoModel, asked: z.infer<typeof responsesSchema>): Promise<void> {
    const { input } = asked;
    const prompt = typeof input === 'string' ? input : input.map(({ content }) => textOf(content)).join('\n');
    return this.#tell(call, model, RESPONSES, { ...asked, prompt, most: asked.max_output_tokens ?? null });
  }

  messages(call: Call, model: DemoModel, asked: z.infer<typeof messagesSchema>): Promise<void> {
    const prompt = asked.messages.map(({ content }) => textOf(content)).join('\n');
    return this.#tell(call, model, MESSAGES, { ...asked, prompt, most: asked.max_tokens ?? null });
  }

  async #tell(call: Call, model: DemoModel, api: Api, wish: Wish): Promise<void> {
    if (!model.capabilities.includes('completion')) {
      throw new OllamaError(400, `"${model.name}" does not support chat`);
    }
    await this.#jobs.withRunner(call, model, null, async () => {
      const story = tellStory({ model: model.name, prompt: wish.prompt, seed: 0 });
      const tokens = story.slice(0, wish.most ?? story.length);
      this.#count += 1;
      const told: Told = {
        ...{ id: `${api.idPrefix}${this.#count}`, model: wish.model, tokens, isCut: tokens.length < story.length },
        promptTokens: Math.max(1, Math.ceil(wish.prompt.length / 4)),
      };
      if (wish.stream === true) await this.#stream(call, model, api, told);
      else await this.#whole(call, model, api, told);
    });
  }

  async #whole(call: Call, model: DemoModel, api: Api, told: Told): Promise<void> {
    for (const _ of told.tokens) await this.#host.pace(model.tokenMs, call.signal);
    if (call.ownFault === 'job-fails') throw new OllamaError(500, RUNNER_DIED);
    await replyJson(call, api.whole(told));
  }

  async #stream(call: Call, model: DemoModel, api: Api, told: Told): Promise<void> {
    let count = 0;
    const say = (event: Event) => {
      const numbered = api === RESPONSES ? { ...event, sequence_number: count++ } : event;
      return call.write(`event: ${event.type}\ndata: ${goJson(numbered)}\n\n`);
    };
    call.startStream(200, { 'Content-Type': 'text/event-stream' });
    for (const event of api.before(told)) await say(event);
    for (const [index, token] of told.tokens.entries()) {
      await this.#host.pace(model.tokenMs, call.signal);
      if (call.ownFault === 'job-fails' && index > 0) {
        await say(api.failed(told));
        return call.end();
      }
      await say(api.piece(told, token));
    }
    for (const event of api.after(told)) await say(event);
    await call.end();
  }
}

interface Wish {
  readonly model: string;
  readonly stream?: boolean | null | undefined;
  readonly prompt: string;
  readonly most: number | null;
}

/** Errors of `/v1/messages` have Anthropic's shape. */
export function anthropicError(text: string, status: number): object {
  const type = status === 400 ? 'invalid_request_error' : status === 404 ? 'not_found_error' : 'api_error';
  return { type: 'error', error: { type: status === 503 ? 'overloaded_error' : type, message: text } };
}
