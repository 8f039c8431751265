/**
 * What happened, in the past tense: everything the core is ever told. Made by the proxy, the probes, the control
 * plane and the executor; consumed by `broker.ts` alone.
 */

import type { Settings } from './settings.js';
import type { Capability, ConsumerId, GpuReading, JobClass, JobId, JobOutcome, MonotonicMs } from './vocabulary.js';

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
  | { readonly kind: 'shut_down' };

export type CoreEvent =
  /** A request's headers were accepted by the routes. The core admits the job (its body may come) or refuses it. */
  | { readonly type: 'JobAnnounced'; readonly job: AnnouncedJob }
  /** The whole body is here and the target is known: the job takes its place in the queue. */
  | { readonly type: 'JobArrived'; readonly jobId: JobId; readonly model: string | null }
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
  | { readonly type: 'ConfigApplied'; readonly settings: Settings }
  | { readonly type: 'OperatorAsked'; readonly action: OperatorAction; readonly by: string }
  | { readonly type: 'Ticked' };

export type EventType = CoreEvent['type'];
