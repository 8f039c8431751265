/** One HTTP exchange at our door, and what a route needs to say about itself. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { BrokerError } from '../errors.js';

/** Who asks: the address (the last of X-Forwarded-For behind a trusted proxy) and what it may do (product.md 9). */
export interface Caller {
  readonly address: string;
  readonly mayAsk: boolean;
  readonly mayOperate: boolean;
}

export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Path as it came, percent-encoding untouched, without query. */
  readonly path: string;
  /** `?a=b` or empty, as it came. */
  readonly query: string;
  readonly params: Readonly<Record<string, string | undefined>>;
  readonly caller: Caller;
  /** The client sent `Expect: 100-continue` and waits: call `res.writeContinue()` before reading the body. */
  readonly expectsContinue: boolean;
  /** The shape of our errors on this route; set by routes below `/consumers/NAME/`. */
  errorBody: (error: BrokerError) => { contentType: string; body: string };
  /**
   * Tells an error inside an answer of ours that has begun already, and ends it so that it cannot pass for a whole
   * one. Absent: its connection is cut.
   */
  breakOff?: (error: BrokerError) => void;
}

export type Handler = (exchange: Exchange) => void | Promise<void>;

export interface Route {
  /** One method, several, or `*` for all. HEAD is served by GET's handler unless listed. */
  readonly method: string | readonly string[];
  /** find-my-way syntax: `/v1/jobs/:id`, `/audio/*`. */
  readonly path: string;
  readonly handler: Handler;
  /** `anybody`: health checks; `ask`: access.allow; `operate`: access.operators. */
  readonly needs: 'anybody' | 'ask' | 'operate';
  /** The shape of our errors here, access errors included; absent: section 6's. Called before anything can fail. */
  readonly errorShape?: (params: Exchange['params']) => Exchange['errorBody'];
  /** A raw connection upgrade on this path (websockets); absent: 404. */
  readonly upgrade?: (exchange: Omit<Exchange, 'res'>, socket: Duplex, head: Buffer) => void;
}
