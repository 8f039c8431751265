/** JSON of clients and consumers, which may be none. Keeps nothing. */
import type { z } from 'zod';
import type { ConsumerId } from '../core/vocabulary.js';
import { BrokerError } from '../errors.js';

/** undefined: it is no JSON. */
export function jsonOf(text: Buffer | string): unknown {
  try {
    return JSON.parse(text.toString());
  } catch {
    return undefined;
  }
}

/** What a consumer answered. Throws `consumer_failed` where it is not `what` was asked for. */
export function answerOf<T>(schema: z.ZodType<T>, body: Buffer | string, consumer: ConsumerId, what: string): T {
  const parsed = schema.safeParse(jsonOf(body));
  if (parsed.success) return parsed.data;
  throw new BrokerError('consumer_failed', `${consumer} answered something that is no ${what}`, { consumer });
}

/** What a client sent. Throws `bad_json`, or `bad_request` with the name of the first member that is wrong. */
export function requestOf<T>(schema: z.ZodType<T>, body: Buffer, words: (member: string) => string): T {
  const value = jsonOf(body);
  if (value === undefined) throw new BrokerError('bad_json', 'the body is not valid JSON');
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const param = String(parsed.error.issues[0]?.path[0] ?? '');
  throw new BrokerError('bad_request', words(param), { param });
}
