/**
 * The contract between those who translate another API and the proxy, which knows nothing of any: a body taken in
 * before its consumer is known, a job whose request was made from it, and the way back of its answer.
 */
import type { ConsumerConfiguration } from '../config/configuration.js';
import type { Capability, JobId } from '../core/vocabulary.js';
import type { BrokerError } from '../errors.js';
import type { Exchange } from '../server/exchange.js';
import type { AnswerHead, BodySource, RequestLine } from './adapter.js';

/** A body that is here, whole, until it is released. */
export interface HeldBody extends BodySource {
  /** All of it, or null where it is on disk. */
  readonly inMemory: Buffer | null;
  /** Further calls do nothing. */
  release(): void;
}

/** Sees the pieces of an answer and says what goes to the client in their place, in the tick they came. */
export interface PieceTranslation {
  /** null: nothing of it goes out now. */
  piece(chunk: Buffer): Buffer | null;
  /** After a clean end. `complaint`: it was not whole all the same; the client gets `last`, then a cut. */
  end(): { readonly last: Buffer | null; readonly complaint: string | null };
  /** The answer stays incomplete: what the client is told before its connection is cut; null: nothing. */
  broken(error: BrokerError): Buffer | null;
}

/** What becomes of one answer, decided when its head is here. */
export type AnswerCourse =
  | { readonly kind: 'as_it_is' }
  | {
      readonly kind: 'pieces';
      readonly status: number;
      /** Flat: name, value, name, value. Not sent where the response has begun. */
      readonly headers: readonly string[];
      readonly translation: PieceTranslation;
    }
  | {
      /** It is kept until it is whole and its work is over; then the client is answered. */
      readonly kind: 'whole';
      readonly mostBytes: number;
      /**
       * Answers the client. What it throws as `BrokerError` the client is told and the job failed with. `signal`
       * aborts when the job is cancelled.
       */
      deliver(answer: WholeAnswer, signal: AbortSignal): Promise<void>;
    };

export interface WholeAnswer {
  readonly head: AnswerHead;
  readonly body: Buffer;
  /** Flat headers that belong to the answer: the job's id, its times. */
  readonly headers: readonly string[];
  /** What the adapter saw of the work's name. */
  readonly workId: string | null;
}

export interface Translation {
  course(head: AnswerHead): AnswerCourse;
}

export interface TranslatedJob {
  readonly exchange: Exchange;
  readonly consumer: ConsumerConfiguration;
  readonly request: RequestLine;
  readonly capability: Capability | null;
  /** Goes to the consumer; released when the job is over. */
  readonly body: HeldBody;
  /** Replaces the client's; null: the client's. */
  readonly contentType: string | null;
  readonly translation: Translation;
  /** Longest wait for a grant that this client has patience for, from now on; null: no own limit. */
  readonly patienceMs: number | null;
}

/** The proxy, for those who translate. */
export interface JobDoor {
  /**
   * Rejects with `BrokerError`, also when the client leaves. Refuses from the headers where no job would be taken.
   * The consumer is not known yet, so `uploadMs` is the caller's.
   */
  takeIn(exchange: Exchange, uploadMs: number): Promise<HeldBody>;
  /** Refusals and errors go to the client in `exchange.errorBody`'s shape. */
  run(job: TranslatedJob): JobId;
  /** Whether the job has its grant; true also when it is over. */
  hasBegun(id: JobId): boolean;
}
