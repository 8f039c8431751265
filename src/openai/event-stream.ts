/**
 * A stream of server-sent events on its way to a client that takes a clean end for a whole answer: each event goes on
 * in the tick it is complete, byte for byte, and a stream that breaks says so in words. One kept event at most.
 *
 * Seen of the official SDKs (openai-node 6.49 and 7, openai-python 3): they throw on an event without data, pass over
 * comments, stop at an `error`, and take an early end for the end.
 */
import type { PieceTranslation } from '../adapters/translation.js';
import type { ConsumerId } from '../core/vocabulary.js';
import type { BrokerError } from '../errors.js';
import { type ToldError, toldError } from './errors.js';

/** What an event of this length would hold is beyond us: it is passed on unseen. */
const LONGEST_EVENT_BYTES = 4 * 1024 * 1024;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** How one API's streams end and fail. */
export interface StreamManner {
  /** Whether the event (its lines) may go on; null: it may not, the text: in its place. */
  judge(event: string): 'pass' | 'drop' | 'end' | { readonly error: ToldError; readonly text: string };
  /** The event that says that the answer broke. */
  errorEvent(error: ToldError): string;
  /** What stands for the end mark where the consumer gave all but that; null: it is not whole without. */
  missingEnd(): string | null;
}

export class EventStream implements PieceTranslation {
  readonly #manner: StreamManner;
  readonly #consumer: ConsumerId;
  #rest: Buffer = Buffer.alloc(0);
  #ended = false;
  #error: ToldError | null = null;

  constructor(manner: StreamManner, consumer: ConsumerId) {
    this.#manner = manner;
    this.#consumer = consumer;
  }

  piece(chunk: Buffer): Buffer | null {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const out: Buffer[] = [];
    let from = 0;
    for (let end = endOfEvent(bytes, from); end !== -1; end = endOfEvent(bytes, from)) {
      this.#take(bytes.subarray(from, end), out);
      from = end;
    }
    this.#rest = bytes.subarray(from);
    if (this.#rest.length > LONGEST_EVENT_BYTES) {
      out.push(this.#rest);
      this.#rest = Buffer.alloc(0);
    }
    return joined(out);
  }

  end(): { last: Buffer | null; complaint: string | null } {
    const out: Buffer[] = [];
    // A last event whose blank line is missing would be dropped by every client.
    if (this.#rest.toString('utf8').trim() !== '') {
      this.#take(Buffer.concat([this.#rest, Buffer.from('\n\n')]), out);
    }
    if (this.#error === null && !this.#ended) this.#close(out);
    return { last: joined(out), complaint: this.#error?.message ?? null };
  }

  broken(error: BrokerError): Buffer | null {
    if (this.#error !== null || this.#ended) return null;
    const { message, type, code } = error;
    return Buffer.from(this.#manner.errorEvent({ message, type, param: null, code }));
  }

  #close(out: Buffer[]): void {
    const end = this.#manner.missingEnd();
    if (end !== null) {
      out.push(Buffer.from(end));
      return;
    }
    const message = `${this.#consumer} ended its stream before the answer was complete; its own log should say why`;
    this.#error = { message, type: 'unavailable', param: null, code: 'consumer_failed' };
    out.push(Buffer.from(this.#manner.errorEvent(this.#error)));
  }

  #take(bytes: Buffer, out: Buffer[]): void {
    // vLLM says [DONE] behind an error; whoever reads on would take the answer for a whole one.
    if (this.#error !== null) return;
    const verdict = this.#manner.judge(bytes.toString('utf8'));
    if (verdict === 'drop') return;
    if (verdict === 'end') this.#ended = true;
    if (typeof verdict === 'string') out.push(bytes);
    else {
      this.#error = verdict.error;
      out.push(Buffer.from(verdict.text));
    }
  }
}

const joined = (pieces: readonly Buffer[]): Buffer | null => {
  const [first, second] = pieces;
  if (first === undefined) return null;
  return second === undefined ? first : Buffer.concat(pieces);
};

/** The first byte behind the next blank line; -1: there is none yet. Lines end in LF, CR LF or CR. */
function endOfEvent(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte !== LINE_FEED && byte !== CARRIAGE_RETURN) continue;
    const next = afterLineEnd(bytes, at);
    const second = bytes[next];
    if (second !== LINE_FEED && second !== CARRIAGE_RETURN) continue;
    return afterLineEnd(bytes, next);
  }
  return -1;
}

function afterLineEnd(bytes: Buffer, at: number): number {
  return bytes[at] === CARRIAGE_RETURN && bytes[at + 1] === LINE_FEED ? at + 2 : at + 1;
}

/** The data of an event, its lines joined; null: it has none. */
export function dataOf(event: string): string | null {
  const lines = event.split(/\r\n|\r|\n/).filter((line) => line.startsWith('data:'));
  return lines.length === 0 ? null : lines.map((line) => line.slice(5).replace(/^ /, '')).join('\n');
}

/** Chats and completions: `data:` only, `[DONE]` at the end. */
export class ChatManner implements StreamManner {
  readonly #consumer: ConsumerId;
  #finished = false;

  constructor(consumer: ConsumerId) {
    this.#consumer = consumer;
  }

  judge(event: string): ReturnType<StreamManner['judge']> {
    const data = dataOf(event);
    // Comments keep a connection alive; an event with nothing but a name, an id or a time to wait breaks SDKs.
    if (data === null) return event.startsWith(':') ? 'pass' : 'drop';
    if (data === '[DONE]') return 'end';
    if (/"finish_reason"\s*:\s*"/.test(data)) this.#finished = true;
    if (!/"error"\s*:/.test(data) || !isError(data)) return 'pass';
    const error = toldError(data, 500, this.#consumer);
    return { error, text: this.errorEvent(error) };
  }

  errorEvent(error: ToldError): string {
    return `data: ${JSON.stringify({ error })}\n\n`;
  }

  missingEnd(): string | null {
    return this.#finished ? 'data: [DONE]\n\n' : null;
  }
}

/** Streams with named events, passed as they are: `/v1/responses`, `/v1/messages`, transcriptions, speech. */
export class NamedManner implements StreamManner {
  readonly #ends: RegExp;
  readonly #errorOf: (error: ToldError) => string;

  /** `ends`: the `type` of the last event, or `[DONE]`. */
  constructor(ends: RegExp, errorOf: (error: ToldError) => string) {
    this.#ends = ends;
    this.#errorOf = errorOf;
  }

  judge(event: string): ReturnType<StreamManner['judge']> {
    const data = dataOf(event);
    return data !== null && (data === '[DONE]' || this.#ends.test(data)) ? 'end' : 'pass';
  }

  errorEvent(error: ToldError): string {
    return this.#errorOf(error);
  }

  missingEnd(): null {
    return null;
  }
}

export const RESPONSES_END = /"type"\s*:\s*"(response\.(completed|failed|incomplete)|error)"/;
export const MESSAGES_END = /"type"\s*:\s*"(message_stop|error)"/;
export const AUDIO_END = /"type"\s*:\s*"(transcript\.text\.done|speech\.audio\.done)"/;

export const responsesError = ({ message, code }: ToldError): string =>
  `event: error\ndata: ${JSON.stringify({ type: 'error', code, message, param: null, sequence_number: 0 })}\n\n`;
export const messagesError = ({ message }: ToldError): string =>
  `event: error\ndata: ${JSON.stringify({ type: 'error', error: { type: 'api_error', message } })}\n\n`;
export const IMAGE_END = /"type"\s*:\s*"(image_generation\.completed|error)"/;
export const imageError = (error: ToldError): string =>
  `event: error\ndata: ${JSON.stringify({ type: 'error', error })}\n\n`;
export const plainStreamError = (error: ToldError): string => `data: ${JSON.stringify({ error })}\n\n`;

function isError(data: string): boolean {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === 'object' && value !== null && 'error' in value && value.error !== null;
  } catch {
    return false;
  }
}
