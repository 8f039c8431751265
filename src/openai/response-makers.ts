/**
 * Who made which answer of `/v1/responses`, so that a follow-up (`previous_response_id`) reaches nobody who never heard
 * of it. Owns the names of the newest answers, in memory: after a restart the model's name alone decides.
 */
import type { AnswerCourse, PieceTranslation } from '../adapters/translation.js';
import type { ConsumerId } from '../core/vocabulary.js';
import { BrokerError } from '../errors.js';
import { MemberScanner } from '../server/json-members.js';
import { dataOf, type StreamManner } from './event-stream.js';
import { jsonOf } from './json.js';

const MOST_NAMES = 10_000;
const BEGINS = /"type"\s*:\s*"response\.created"/;

export class ResponseMakers {
  readonly #makers = new Map<string, ConsumerId>();
  readonly #most: number;

  constructor(most = MOST_NAMES) {
    this.#most = most;
  }

  note(response: string, maker: ConsumerId): void {
    this.#makers.delete(response);
    this.#makers.set(response, maker);
    const [oldest] = this.#makers.keys();
    if (this.#makers.size > this.#most && oldest !== undefined) this.#makers.delete(oldest);
  }

  /** null: nobody that is remembered here. */
  makerOf(response: string): ConsumerId | null {
    return this.#makers.get(response) ?? null;
  }
}

/** Thrown where the model of a follow-up is at somebody else's. */
export function elsewhere(response: string, maker: ConsumerId, consumer: ConsumerId): BrokerError {
  const text = `response ${response} was made by ${maker}, and the model that was asked for is at ${consumer}, which does not know it; name a model of ${maker}, or send the whole conversation`;
  return new BrokerError('bad_request', text, { param: 'previous_response_id', consumer });
}

/** A stream of `/v1/responses` whose first event names the answer. */
export function notingManner(manner: StreamManner, note: (response: string) => void): StreamManner {
  return {
    judge(event) {
      const data = BEGINS.test(event) ? dataOf(event) : null;
      const id = data === null ? null : idIn(jsonOf(data));
      if (id !== null) note(id);
      return manner.judge(event);
    },
    errorEvent: (error) => manner.errorEvent(error),
    missingEnd: () => manner.missingEnd(),
  };
}

function idIn(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || !('response' in value)) return null;
  const { response } = value;
  const isNamed = typeof response === 'object' && response !== null && 'id' in response;
  return isNamed && typeof response.id === 'string' ? response.id : null;
}

/** A whole answer of `/v1/responses`, passed on byte for byte as it comes. */
export function notingCourse(
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  note: (response: string) => void,
): AnswerCourse {
  const scanner = new MemberScanner(['id']);
  const translation: PieceTranslation = {
    piece(chunk) {
      scanner.take(chunk);
      return chunk;
    },
    end() {
      const id = scanner.members.get('id')?.value;
      if (typeof id === 'string') note(id);
      return { last: null, complaint: null };
    },
    broken: () => null,
  };
  const passing = ['content-type', 'content-length', 'content-encoding'].flatMap((name) => {
    const value = headers[name];
    return typeof value === 'string' ? [name, value] : [];
  });
  return { kind: 'pieces', status, headers: passing, translation };
}
