/**
 * What happened, in the past tense: everything the core is ever told. Made by the proxy, the probes, the control
 * plane and the executor; consumed by `broker.ts` alone.
 */

import type { Settings } from './settings.js';
import type {
  Capability,
  ConsumerId,
  GpuReading,
  JobClass,
  JobId,
  JobOutcome,
  MonotonicMs,
  Target,
} from './vocabulary.js';

/** A job as its headers describe it. */
export interface AnnouncedJob {
  readonly id: JobId;
  readonly consumer: ConsumerId;
  /** null: it came below `/consumers/NAME/`. */
  readonly capability: Capability | null;
  readonly class: JobClass;
  /** The caller's address. */
  readonly client: string;
}

export type OperatorAction =
  | { readonly kind: 'cancel'; readonly job: JobId }
  /** No new jobs; those that wait are still served. */
  | { readonly kind: 'drain' }
  | { readonly kind: 'resume' }
  /** No new jobs, waiting ones are refused, running ones finish. */
  | { readonly kind: 'shut_down' }
  /** The answer comes as `AnswerOperator` with the same request number, when it is done or cannot be. */
  | {
      readonly kind: 'load' | 'evict';
      readonly target: Target;
      readonly request: number;
      /** How long the operator waits; null: for ever. */
      readonly timeoutMs: number | null;
    }
  | { readonly kind: 'pin' | 'unpin' | 'forget'; readonly target: Target; readonly request: number };

/** What a consumer says of itself when asked; null where its kind cannot say. */
export interface ConsumerAnswer {
  /** The models (null: the consumer as a whole) that are in VRAM, with MiB where it says so. */
  readonly loaded: readonly { readonly model: string | null; readonly mib: number | null }[] | null;
  /** Pieces of work that it has, ours among them. */
  readonly work: number | null;
}

export type CoreEvent =
  /** A request's headers were accepted by the routes. The core admits the job (its body may come) or refuses it. */
  | { readonly type: 'JobAnnounced'; readonly job: AnnouncedJob }
  /** The whole body is here and the target is known: the job takes its place in the queue. */
  | {
      readonly type: 'JobArrived';
      readonly jobId: JobId;
      readonly model: string | null;
      /** False: it works elsewhere (a model in the cloud): granted at once, holding nothing. */
      readonly usesCard?: boolean;
      /** A first guess of what its target takes, MiB, until something is declared or learned. */
      readonly guessMib?: number;
      /** Where its model has one of its own. */
      readonly class?: JobClass;
    }
  /** The client's connection is gone before its answer was complete. */
  | { readonly type: 'ClientLeft'; readonly jobId: JobId }
  | { readonly type: 'FirstByteSeen'; readonly jobId: JobId }
  /** The answer went out in full, but the work goes on (ComfyUI): the client's leaving changes nothing any more. */
  | { readonly type: 'AnswerSent'; readonly jobId: JobId }
  /**
   * The proxy's verdict on a job. `workOver: true`: the GPU is idle again for all we know (the answer ended, or the
   * consumer is gone). `false`: we broke the job off, its grant stays out until `WorkEnded`.
   */
  | { readonly type: 'JobEnded'; readonly jobId: JobId; readonly outcome: JobOutcome; readonly workOver: boolean }
  /** The work of a job that ended or was aborted earlier is really over: its grant comes back. */
  | { readonly type: 'WorkEnded'; readonly jobId: JobId }
  /** A health probe ended. `timed_out` proves nothing about a consumer that was working for us meanwhile. */
  | {
      readonly type: 'ProbeEnded';
      readonly consumer: ConsumerId;
      readonly result: 'good' | 'bad' | 'timed_out';
      /** For people; null when good. */
      readonly error: string | null;
      readonly startedAt: MonotonicMs;
    }
  /** `reading: null`: the tool gave none, `error` says why. Older readings than the newest are dropped by the probe. */
  | { readonly type: 'CardMeasured'; readonly reading: GpuReading | null; readonly error: string | null }
  /** A load by call ended; resident only once a reading after it exists. */
  | { readonly type: 'LoadEnded'; readonly target: Target; readonly error: string | null }
  /** The consumer said that it unloaded (`error: null`), or would not. Never believed without a reading. */
  | { readonly type: 'UnloadEnded'; readonly target: Target; readonly error: string | null }
  /** The unit runs and its health was seen good, or why not. */
  | { readonly type: 'UnitStarted'; readonly consumer: ConsumerId; readonly error: string | null }
  | { readonly type: 'UnitStopped'; readonly consumer: ConsumerId; readonly error: string | null }
  /** `answer: null`: it did not answer in time, which proves nothing. */
  | {
      readonly type: 'ConsumerAsked';
      readonly consumer: ConsumerId;
      readonly answer: ConsumerAnswer | null;
      /** Whether its processes were seen to use a card, by the driver's count; absent: nobody looked. */
      readonly usesCard?: boolean;
      /** When the question, or the look, began: what happened since then may or may not be in the answer. */
      readonly startedAt: MonotonicMs;
    }
  /** The consumer's answer says out of memory, and nothing of it went out yet. */
  | { readonly type: 'OutOfMemorySeen'; readonly jobId: JobId; readonly canRetry: boolean; readonly message: string }
  /** A file of the consumer was read through us (`/audio/*`): it counts as use. */
  | { readonly type: 'ConsumerRead'; readonly consumer: ConsumerId }
  | { readonly type: 'ConfigApplied'; readonly settings: Settings }
  | { readonly type: 'OperatorAsked'; readonly action: OperatorAction; readonly by: string }
  | { readonly type: 'Ticked' };

export type EventType = CoreEvent['type'];
export type EventOf<T extends EventType> = Extract<CoreEvent, { readonly type: T }>;
