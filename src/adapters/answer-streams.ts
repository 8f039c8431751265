/**
 * Whether a stream came to its own end. A clean end of the transfer is not enough: an error in the middle ends it just
 * as cleanly. Read at ollama v0.33: NDJSON ends with `done:true`; on `/v1/chat/completions` an error in the middle
 * comes out as an empty delta and a missing `[DONE]`. llama-server and vLLM send an error event, vLLM `[DONE]` as well;
 * speaches ends transcriptions and speech with an event of their own.
 */
import type { AnswerHead, AnswerWatch } from './adapter.js';
import { Lines } from './lines.js';

export function watchStream(head: AnswerHead, path: string): AnswerWatch | null {
  const encoding = String(head.headers['content-encoding'] ?? 'identity');
  if (head.status !== 200 || encoding !== 'identity') return null;
  const type = String(head.headers['content-type'] ?? '')
    .split(';')[0]
    ?.trim();
  if (type === 'application/x-ndjson') return new StreamWatch(ndjsonLine, 'done:true');
  if (type !== 'text/event-stream') return null;
  if (path.endsWith('/messages')) return new StreamWatch(typedLine('message_stop'), 'message_stop');
  if (path.endsWith('/responses'))
    return new StreamWatch(typedLine('response.completed', 'response.incomplete'), 'response.completed');
  if (/\/audio\/(transcriptions|translations)$/.test(path)) {
    return new StreamWatch(eitherLine('transcript.text.done'), 'transcript.text.done');
  }
  if (path.endsWith('/audio/speech')) return new StreamWatch(typedLine('speech.audio.done'), 'speech.audio.done');
  return new StreamWatch(sseLine, '[DONE]');
}

/** What one line says. */
type Saying = { readonly error: string } | 'end' | 'nothing';

class StreamWatch implements AnswerWatch {
  readonly #read: (line: string) => Saying;
  readonly #endMark: string;
  readonly #lines = new Lines();
  #error: string | null = null;
  #ended = false;

  constructor(read: (line: string) => Saying, endMark: string) {
    this.#read = read;
    this.#endMark = endMark;
  }

  piece(chunk: Buffer): void {
    for (const line of this.#lines.of(chunk)) this.#take(line);
  }

  complaint(): string | null {
    this.#take(this.#lines.last());
    if (this.#error !== null) return this.#error;
    return this.#ended || this.#lines.gaveUp ? null : `the stream ended without ${this.#endMark}`;
  }

  workId(): null {
    return null;
  }

  #take(line: string): void {
    const saying = this.#read(line);
    if (saying === 'end') this.#ended = true;
    else if (saying !== 'nothing') this.#error ??= saying.error;
  }
}

function ndjsonLine(line: string): Saying {
  const value = objectOf(line);
  if (value === null) return 'nothing';
  if (hasError(value)) return { error: textOf(value.error) };
  // `/api/pull`, `/api/create` and the like end with a status.
  return value.done === true || value.status === 'success' ? 'end' : 'nothing';
}

function sseLine(line: string): Saying {
  const data = dataOf(line);
  if (data === '[DONE]') return 'end';
  const value = data === null ? null : objectOf(data);
  return value !== null && hasError(value) ? { error: textOf(value.error) } : 'nothing';
}

/** `response.incomplete`: the limit of tokens was reached, which is an answer. */
function typedLine(...endTypes: readonly string[]): (line: string) => Saying {
  return (line) => {
    const data = dataOf(line);
    const value = data === null ? null : objectOf(data);
    if (value === null) return 'nothing';
    if (endTypes.some((end) => end === value.type)) return 'end';
    return value.type === 'error' || value.type === 'response.failed' ? { error: textOf(value.error) } : 'nothing';
  };
}

/** vLLM ends transcriptions as it ends chats. */
function eitherLine(endType: string): (line: string) => Saying {
  const typed = typedLine(endType);
  return (line) => {
    const saying = sseLine(line);
    return saying === 'nothing' ? typed(line) : saying;
  };
}

/** Some send the member in every piece, with nothing in it. */
const hasError = ({ error }: Record<string, unknown>): boolean => error !== undefined && error !== null;

const dataOf = (line: string): string | null => (line.startsWith('data:') ? line.slice(5).trim() : null);

function objectOf(text: string): Record<string, unknown> | null {
  if (!text.startsWith('{')) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

function textOf(error: unknown): string {
  if (typeof error === 'string') return error;
  if (typeof error === 'object' && error !== null && 'message' in error) return String(error.message);
  return JSON.stringify(error) ?? 'an error without words';
}
