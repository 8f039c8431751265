/** What a relay is asked to do and how it says that it is over: the contract between it and those who use it. */
import type { AnswerHead, AnswerWatch } from '../adapters/adapter.js';
import type { HeldBody, Translation } from '../adapters/translation.js';
import type { ConsumerConfiguration } from '../config/configuration.js';
import type { JobId } from '../core/vocabulary.js';
import type { BrokerError } from '../errors.js';
import type { Clock, ConfigurationPort, Log } from '../runtime/ports.js';
import type { Exchange } from '../server/exchange.js';
import type { Budget } from './budget.js';
import type { Upstreams } from './upstream.js';

export interface RelayDependencies {
  readonly upstreams: Upstreams;
  readonly configuration: ConfigurationPort;
  readonly memory: Budget;
  readonly clock: Clock;
  readonly log: Log;
}

export interface RelayOrder {
  readonly exchange: Exchange;
  readonly consumer: ConsumerConfiguration;
  /** Path and query, as the service sees them below its `url`. */
  readonly path: string;
  /** `live`: the client's body goes through as it comes. */
  readonly body: HeldBody | 'live' | null;
  readonly job: JobId | null;
  /** The request was made from another one, and its answer is told in that one's API. */
  readonly translated?: { readonly contentType: string | null; readonly translation: Translation } | undefined;
  /** Whether this answer is looked at as a whole before any of it goes out. Absent: never. */
  readonly inspects?: (head: AnswerHead) => boolean;
  /** The whole of such an answer. True: it waits until `release`, `breakOff` or `discard`. */
  readonly inspected?: (head: AnswerHead, text: string) => boolean;
  /** The answer begins. Returns what is added to its headers, and who wants to see its pieces. */
  readonly answered: (head: AnswerHead) => { readonly headers: readonly string[]; readonly watch: AnswerWatch | null };
  /** The consumer's part is over; called once, before the client can see it, and not after `breakOff`. */
  readonly over: (end: RelayEnd) => void;
}

export type RelayEnd =
  | {
      readonly kind: 'complete';
      readonly head: AnswerHead;
      readonly watch: AnswerWatch | null;
      /** What a translation found wrong with it. */
      readonly complaint: string | null;
      /** The client has no answer yet: to be called once, when the work is over. */
      readonly deliver: ((signal: AbortSignal) => Promise<void>) | null;
    }
  | { readonly kind: 'failed'; readonly error: BrokerError }
  /** `begun: false`: the consumer cannot have begun with it. */
  | { readonly kind: 'timed_out'; readonly error: BrokerError; readonly begun: boolean };
