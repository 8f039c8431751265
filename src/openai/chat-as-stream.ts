/** A whole chat where a stream was asked for: told as one, because clients read nothing from it otherwise. */
import { z } from 'zod';
import type { AnswerCourse } from '../adapters/translation.js';
import type { ConsumerId } from '../core/vocabulary.js';
import type { Exchange } from '../server/exchange.js';
import { answerOf } from './json.js';
import { STREAM_HEADERS } from './waiting-stream.js';

const LONGEST_BYTES = 16 * 1024 * 1024;

const chatSchema = z.looseObject({
  choices: z.array(
    z.looseObject({
      index: z.number().default(0),
      message: z.looseObject({ tool_calls: z.array(z.looseObject({})).nullish() }),
      finish_reason: z.string().nullish(),
    }),
  ),
});

export function chatAsStream(exchange: Exchange, consumer: ConsumerId): AnswerCourse {
  return {
    kind: 'whole',
    mostBytes: LONGEST_BYTES,
    deliver({ body, headers }) {
      const events = eventsOf(body, consumer);
      const { res } = exchange;
      if (!res.headersSent) res.writeHead(200, [...STREAM_HEADERS, ...headers]);
      res.end(events);
      return Promise.resolve();
    },
  };
}

function eventsOf(body: Buffer, consumer: ConsumerId): string {
  const { choices, usage: _, ...rest } = answerOf(chatSchema, body, consumer, 'chat');
  const chunk = { ...rest, object: 'chat.completion.chunk' };
  const texts = choices.flatMap(({ index, message, finish_reason }) => {
    const { tool_calls: calls, ...delta } = message;
    const said = calls == null ? delta : { ...delta, tool_calls: calls.map((call, at) => ({ index: at, ...call })) };
    return [
      { ...chunk, choices: [{ index, delta: said, finish_reason: null }] },
      { ...chunk, choices: [{ index, delta: {}, finish_reason: finish_reason ?? 'stop' }] },
    ];
  });
  return [...texts.map((text) => `data: ${JSON.stringify(text)}\n\n`), 'data: [DONE]\n\n'].join('');
}
