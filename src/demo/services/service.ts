/**
 * What every demo service shows to those who start it: where it listens, what it was asked, what it worked on, and
 * the switch for bad days. Types only. The same services stand in for the real ones in the tests.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Card } from '../card.js';

/**
 * What goes wrong while the switch is set. The first five break the transport and work for every service; the last
 * two are failures as the service itself reports them (a status, an error line, an entry in a history).
 */
export const FAULTS = [
  'reset-before-headers',
  'reset-mid-answer',
  'hang-before-headers',
  'hang-mid-answer',
  'garbage',
  'job-fails',
  'out-of-memory',
] as const;
export type Fault = (typeof FAULTS)[number];

/** Times are milliseconds of the machine's monotonic clock, so that several processes' spans can be compared. */
export interface SeenRequest {
  readonly method: string;
  /** As it came, without the query. */
  readonly path: string;
  /** `?a=b` or empty. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly startedAtMs: number;
  /** null: still open. */
  readonly endedAtMs: number | null;
  /** The other side closed before the answer was complete. */
  readonly aborted: boolean;
}

/** A stretch of time in which the service used the card for one job. */
export interface WorkSpan {
  /** The model, the prompt id, or the path. */
  readonly label: string;
  readonly startedAtMs: number;
  /** null: still at it. */
  readonly endedAtMs: number | null;
}

export interface DemoService {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly port: number;
  /** Oldest first; the newest 10,000. */
  readonly seen: readonly SeenRequest[];
  /** Oldest first; the newest 10,000. */
  readonly work: readonly WorkSpan[];
  /** May be set and cleared at any time; looked at when a request comes and again when its answer goes out. */
  fault: Fault | null;
  /** Paths that the fault hits; at first all. */
  faultPaths: RegExp;
  /** Resolves once the condition holds, looked at again after each change of `seen`, `work` or a job's state. */
  until(condition: () => boolean, timeoutMs?: number): Promise<void>;
  /** Breaks everything off (or, with `finishWork`, takes nothing new and lets what runs end) and frees the port. */
  close(options?: { readonly finishWork?: boolean }): Promise<void>;
}

export interface DemoServiceOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** How many times faster than the demo's usual pace the service loads and works; above 0, default 1. */
  readonly speed?: number;
  /** Default: a card without end that nobody else sees. */
  readonly card?: Card;
}
