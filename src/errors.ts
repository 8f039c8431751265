/**
 * The catalogue of errors a person or a client program can meet (product.md section 6): code, status, type, and
 * whether waiting helps. The only place where a code is tied to a status. Owns no state.
 */

export type ErrorType =
  | 'invalid_request'
  | 'authentication'
  | 'permission'
  | 'not_found'
  | 'rate_limit'
  | 'unavailable'
  | 'timeout'
  | 'internal';

interface CatalogueEntry {
  readonly status: number;
  readonly type: ErrorType;
  /** Seconds for `Retry-After` (1 to 60), or null where waiting cannot mend it (`x-should-retry: false`). */
  readonly retryAfterS: number | null;
}

const entry = (status: number, type: ErrorType, retryAfterS: number | null): CatalogueEntry => ({
  status,
  type,
  retryAfterS,
});

export const CATALOGUE = {
  bad_request: entry(400, 'invalid_request', null),
  bad_json: entry(400, 'invalid_request', null),
  unauthorized: entry(401, 'authentication', null),
  forbidden: entry(403, 'permission', null),
  not_found: entry(404, 'not_found', null),
  no_route: entry(404, 'not_found', null),
  unknown_consumer: entry(404, 'not_found', null),
  model_not_found: entry(404, 'not_found', null),
  job_not_found: entry(404, 'not_found', null),
  method_not_allowed: entry(405, 'invalid_request', null),
  cancelled_by_operator: entry(410, 'invalid_request', null),
  body_too_large: entry(413, 'invalid_request', null),
  queue_full: entry(429, 'rate_limit', 5),
  /** In logs and events only: the client is gone, nobody reads it. */
  cancelled: entry(499, 'invalid_request', null),
  internal: entry(500, 'internal', null),
  consumer_failed: entry(502, 'unavailable', 1),
  consumer_down: entry(503, 'unavailable', 5),
  consumer_parked: entry(503, 'unavailable', 5),
  consumer_removed: entry(503, 'unavailable', null),
  does_not_fit: entry(503, 'unavailable', null),
  evict_failed: entry(503, 'unavailable', 15),
  load_failed: entry(503, 'unavailable', 15),
  gpu_out_of_memory: entry(503, 'unavailable', 15),
  no_space: entry(503, 'unavailable', 5),
  draining: entry(503, 'unavailable', 10),
  queue_timeout: entry(504, 'timeout', 5),
  consumer_timeout: entry(504, 'timeout', 5),
  upload_timeout: entry(504, 'timeout', 1),
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof CATALOGUE;

export interface BrokerErrorOptions {
  readonly consumer?: string;
  readonly job?: string;
  readonly param?: string;
  /** Overrides the catalogue where the moment knows better; seconds, clamped to 1..60; null: waiting cannot mend it. */
  readonly retryAfterS?: number | null;
  /** `Allow` of a 405 and the like. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** An answer of ours that is not what was asked for. The message says what happened, where, and what to do. */
export class BrokerError extends Error {
  override readonly name = 'BrokerError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly type: ErrorType;
  readonly retryAfterS: number | null;
  readonly consumer: string | null;
  readonly job: string | null;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, options: BrokerErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    const known = CATALOGUE[code];
    this.code = code;
    this.status = known.status;
    this.type = known.type;
    const retry = options.retryAfterS === undefined ? known.retryAfterS : options.retryAfterS;
    this.retryAfterS = retry === null ? null : Math.min(60, Math.max(1, Math.ceil(retry)));
    this.consumer = options.consumer ?? null;
    this.job = options.job ?? null;
    this.param = options.param ?? null;
    this.headers = options.headers ?? {};
  }

  /** The body of product.md section 6. */
  toJSON(): { error: Record<string, unknown> } {
    return {
      error: {
        message: this.message,
        type: this.type,
        code: this.code,
        param: this.param,
        consumer: this.consumer,
        job: this.job,
        retry_after_s: this.retryAfterS,
      },
    };
  }

  /** The headers that go with it on every route: `Retry-After` or `x-should-retry`, and `X-MGPU-Error`. */
  responseHeaders(): Record<string, string> {
    return {
      'X-MGPU-Error': this.code,
      ...(this.retryAfterS === null ? { 'x-should-retry': 'false' } : { 'Retry-After': String(this.retryAfterS) }),
      ...this.headers,
    };
  }
}

export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(CATALOGUE, text);
