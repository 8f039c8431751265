/**
 * Embeddings in the encoding that was asked for, whatever the consumer made of that wish: base64 of little-endian
 * 32-bit floats, or numbers. An answer that fits goes out as it came. Keeps nothing.
 */
import { z } from 'zod';
import type { AnswerCourse } from '../adapters/translation.js';
import type { ConsumerId } from '../core/vocabulary.js';
import type { Exchange } from '../server/exchange.js';
import { sendWhole } from './answers.js';
import { answerOf } from './json.js';

/** 2048 vectors of 4096 numbers as text. */
const LONGEST_BYTES = 256 * 1024 * 1024;
const BYTES_PER_NUMBER = 4;

const answerSchema = z.looseObject({
  data: z.array(z.looseObject({ embedding: z.union([z.string(), z.array(z.number())]) })),
});

export function embeddingsCourse(exchange: Exchange, consumer: ConsumerId, encoding: unknown): AnswerCourse {
  const wantsBase64 = encoding === 'base64';
  return {
    kind: 'whole',
    mostBytes: LONGEST_BYTES,
    deliver({ head, body, headers }) {
      const contentType = 'application/json; charset=utf-8';
      sendWhole(exchange, { status: head.status, contentType, body: inEncoding(body, consumer, wantsBase64), headers });
      return Promise.resolve();
    },
  };
}

function inEncoding(body: Buffer, consumer: ConsumerId, wantsBase64: boolean): Buffer | string {
  const { data, ...rest } = answerOf(answerSchema, body, consumer, 'list of embeddings');
  if (data.every(({ embedding }) => (typeof embedding === 'string') === wantsBase64)) return body;
  const told = data.map((entry) => ({ ...entry, embedding: converted(entry.embedding, wantsBase64) }));
  return JSON.stringify({ ...rest, data: told });
}

function converted(embedding: string | readonly number[], wantsBase64: boolean): string | readonly number[] {
  if (typeof embedding === 'string') return wantsBase64 ? embedding : numbersOf(Buffer.from(embedding, 'base64'));
  if (!wantsBase64) return embedding;
  const bytes = Buffer.alloc(embedding.length * BYTES_PER_NUMBER);
  for (const [index, value] of embedding.entries()) bytes.writeFloatLE(value, index * BYTES_PER_NUMBER);
  return bytes.toString('base64');
}

const numbersOf = (bytes: Buffer): number[] =>
  Array.from({ length: Math.floor(bytes.length / BYTES_PER_NUMBER) }, (_, index) =>
    bytes.readFloatLE(index * BYTES_PER_NUMBER),
  );
