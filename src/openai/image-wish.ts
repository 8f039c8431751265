/** What a client asks of `/v1/images/generations`, checked. What a consumer cannot do is refused, never passed over. Keeps nothing. */
import { z } from 'zod';
import { readPictureSize } from '../config/values.js';
import { BrokerError } from '../errors.js';
import { requestOf } from './json.js';

/** OpenAI's own limit. */
const MOST_PICTURES = 10;
/** The largest whole number that no JSON parser rounds. */
const SEEDS = 2 ** 53;

const schema = z.looseObject({
  prompt: z.string().min(1),
  n: z.number().int().min(1).max(MOST_PICTURES).nullish(),
  size: z.string().nullish(),
  response_format: z.enum(['url', 'b64_json']).nullish(),
  output_format: z.string().nullish(),
  stream: z.boolean().nullish(),
  negative_prompt: z.string().nullish(),
  seed: z.number().int().min(0).nullish(),
});

const WORDS: Readonly<Record<string, string>> = {
  prompt: 'prompt, the text of the picture, is missing or no text',
  n: `n must be a whole number from 1 to ${MOST_PICTURES}`,
  response_format: 'response_format must be b64_json or url',
  stream: 'stream must be true or false',
  seed: 'seed must be a whole number',
};

export interface ImageWish {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly count: number;
  /** null: whatever is usual there. */
  readonly size: { readonly width: number; readonly height: number } | null;
  readonly seed: number;
  readonly asUrl: boolean;
  readonly streams: boolean;
}

/** Throws `bad_json`, `bad_request` with `param`. */
export function imageWishOf(body: Buffer): ImageWish {
  const asked = requestOf(schema, body, (member) => WORDS[member] ?? `${member || 'the body'} is not what it must be`);
  const { output_format: format } = asked;
  if (format != null && format !== 'png') {
    throw refused(
      'output_format',
      `pictures come as the consumer makes them, as PNG; ${JSON.stringify(format)} is not made`,
    );
  }
  return {
    prompt: asked.prompt,
    negativePrompt: asked.negative_prompt ?? '',
    count: asked.n ?? 1,
    size: sizeOf(asked.size ?? 'auto'),
    seed: asked.seed ?? Math.floor(Math.random() * SEEDS),
    // Who says nothing gets what every client can read; an address may be out of its reach.
    asUrl: asked.response_format === 'url',
    streams: asked.stream === true,
  };
}

function sizeOf(text: string): ImageWish['size'] {
  if (text === 'auto') return null;
  const reading = readPictureSize(text);
  if ('value' in reading) return reading.value;
  throw refused('size', `size is ${reading.wrong}, or auto`);
}

export const refused = (param: string, text: string): BrokerError => new BrokerError('bad_request', text, { param });
