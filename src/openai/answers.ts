/** Whole answers to clients of these routes. Keeps nothing. */
import type { OpenAiRoute } from '../adapters/adapter.js';
import type { AnswerCourse, WholeAnswer } from '../adapters/translation.js';
import type { ConsumerId } from '../core/vocabulary.js';
import type { Exchange } from '../server/exchange.js';
import { type ToldError, toldError, translatedError } from './errors.js';

/** An error is a line or a page. */
const LONGEST_ERROR_BYTES = 4 * 1024 * 1024;

/** `headers`: flat. */
export function sendWhole(
  { req, res }: Pick<Exchange, 'req' | 'res'>,
  answer: {
    readonly status: number;
    readonly contentType: string;
    readonly body: string | Buffer;
    readonly headers: readonly string[];
  },
): void {
  if (res.headersSent || res.destroyed) return;
  const body = Buffer.from(answer.body);
  res.writeHead(answer.status, [
    ...['Content-Type', answer.contentType, 'Content-Length', String(body.length)],
    ...answer.headers,
    ...(req.complete ? [] : ['Connection', 'close']),
  ]);
  res.end(body);
}

export interface ErrorCourseOptions {
  readonly exchange: Exchange;
  readonly consumer: ConsumerId;
  readonly route: OpenAiRoute;
  /** How an error is told where the answer is a stream that has begun. */
  readonly errorEvent: (error: ToldError) => string;
}

/** For every answer that is none: told in the route's own shape, inside the stream where one has begun. */
export function errorCourse({ exchange, consumer, route, errorEvent }: ErrorCourseOptions): AnswerCourse {
  return {
    kind: 'whole',
    mostBytes: LONGEST_ERROR_BYTES,
    deliver(answer: WholeAnswer) {
      const { res } = exchange;
      if (res.headersSent) {
        const told = toldError(answer.body.toString('utf8'), answer.head.status, consumer);
        res.write(errorEvent(told), () => res.destroy());
      } else sendWhole(exchange, translatedError(answer, consumer, route));
      return Promise.resolve();
    },
  };
}

export function typeOf(headers: Readonly<Record<string, string | string[] | undefined>>): string {
  return (
    String(headers['content-type'] ?? '')
      .split(';')[0]
      ?.trim()
      .toLowerCase() ?? ''
  );
}
