/**
 * Errors as the clients of these routes parse them: ours, and whatever a consumer says, be it a page, a line, FastAPI's
 * `detail` or ollama's own. Keeps nothing.
 */
import type { OpenAiRoute } from '../adapters/adapter.js';
import type { WholeAnswer } from '../adapters/translation.js';
import type { ConsumerId } from '../core/vocabulary.js';
import type { BrokerError, ErrorType } from '../errors.js';
import { plainErrorBody } from '../server/respond.js';
import { jsonOf } from './json.js';

/** OpenAI's API documents all four keys; `code` and `param` are texts or null. */
export interface ToldError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

export interface ErrorAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers: readonly string[];
}

const JSON_TYPE = 'application/json; charset=utf-8';
const LONGEST_MESSAGE = 2000;

/** The shape of our own errors on a route. */
export const errorShapeOf = (route: OpenAiRoute | null) =>
  route === 'messages' || route === 'count_tokens' ? anthropicErrorBody : plainErrorBody;

function anthropicErrorBody(error: BrokerError): { contentType: string; body: string } {
  const { message, code } = error;
  return {
    contentType: JSON_TYPE,
    body: anthropicText(error.status, { message, code, type: error.type, param: null }),
  };
}

const anthropicText = (status: number, { message, code }: ToldError): string =>
  JSON.stringify({ type: 'error', error: { type: anthropicType(status), message, code } });

/** Anthropic's documented types, by status. */
function anthropicType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  if (status === 429) return 'rate_limit_error';
  if (status === 503 || status === 529) return 'overloaded_error';
  return status < 500 ? 'invalid_request_error' : 'api_error';
}

/** A consumer's error in the shape of the route. Its status is kept; what is no error status becomes 502. */
export function translatedError(answer: WholeAnswer, consumer: ConsumerId, route: OpenAiRoute): ErrorAnswer {
  const { status: said } = answer.head;
  const text = answer.body.toString('utf8');
  // whisper.cpp's error handler turns the 503 of a model that loads into a page that was not found.
  const isLoading = answer.head.headers.server === 'whisper.cpp' && said === 404;
  const status = isLoading ? 503 : said >= 400 && said < 600 ? said : 502;
  const told = isLoading ? loading(consumer) : toldError(text, status, consumer);
  const isAnthropic = route === 'messages' || route === 'count_tokens';
  const body = isAnthropic ? (asAnthropic(text) ?? anthropicText(status, told)) : JSON.stringify({ error: told });
  return { status, contentType: JSON_TYPE, body, headers: [...retryHeaders(answer, status), ...answer.headers] };
}

const loading = (consumer: ConsumerId): ToldError => ({
  message: `${consumer} is loading its model; try again in a moment`,
  ...{ type: 'unavailable', param: null, code: 'model_loading' },
});

function asAnthropic(text: string): string | null {
  const value = objectOf(jsonOf(text));
  return value?.type === 'error' && typeof objectOf(value.error)?.message === 'string' ? text : null;
}

/** RFC 9110, section 10.2.3; what is longer than a minute is obeyed for minutes by some clients and ignored by others. */
function retryHeaders({ head }: WholeAnswer, status: number): string[] {
  const said = Number(head.headers['retry-after']);
  if (status !== 429 && status !== 503) return [];
  return ['Retry-After', String(Number.isInteger(said) ? Math.min(60, Math.max(1, said)) : 5)];
}

/** What a consumer said, in any of the shapes that are in use. */
export function toldError(text: string, status: number, consumer: ConsumerId): ToldError {
  const value = jsonOf(text);
  const inside = objectOf(value);
  const error = inside?.error ?? null;
  const told = objectOf(error) ?? inside;
  const message =
    textIn(error) ?? textIn(objectOf(error)?.message) ?? detailIn(inside?.detail) ?? textIn(inside?.message) ?? null;
  const words = message ?? (value === undefined ? plainWords(text) : text);
  const type = textIn(told?.type) ?? typeOf(status);
  return {
    // Whatever else it says (llama-server: how many tokens there were and may be) goes along.
    ...(objectOf(error) ?? {}),
    message: words.slice(0, LONGEST_MESSAGE) || `${consumer} answered ${status} without a word`,
    type,
    param: textIn(told?.param),
    code: codeOf(told?.code, type),
  };
}

/** Some say the status once more in `code`; SDKs hand it on as a text. */
function codeOf(code: unknown, type: string): string | null {
  if (type === 'exceed_context_size_error') return 'context_length_exceeded';
  if (typeof code === 'string') return code;
  return typeof code === 'number' ? String(code) : null;
}

/** FastAPI: a text, an object, or a list of what is wrong where. */
function detailIn(detail: unknown): string | null {
  if (typeof detail === 'string') return detail;
  if (Array.isArray(detail)) return detail.map(placed).join('; ');
  const inside = objectOf(detail);
  if (inside === null) return null;
  return textIn(inside.message) ?? textIn(inside.error) ?? JSON.stringify(inside);
}

function placed(entry: unknown): string {
  const { msg, loc } = objectOf(entry) ?? {};
  const place = Array.isArray(loc) ? `${loc.join('.')}: ` : '';
  return place + (textIn(msg) ?? JSON.stringify(entry));
}

/** A page or a line, as a line. */
const plainWords = (text: string): string =>
  text
    .replace(/<(style|script|head)\b[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();

function typeOf(status: number): ErrorType {
  if (status === 401) return 'authentication';
  if (status === 403) return 'permission';
  if (status === 404) return 'not_found';
  if (status === 429) return 'rate_limit';
  if (status === 504 || status === 408) return 'timeout';
  return status < 500 ? 'invalid_request' : 'unavailable';
}

const objectOf = (value: unknown): Readonly<Record<string, unknown>> | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;

const textIn = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
