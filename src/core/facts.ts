/**
 * What the core did and saw, for everybody who watches: events, logs, metrics, history, `why`. Facts are told once,
 * when they happen; the state now is `snapshot.ts`.
 */
import type {
  Capability,
  ConsumerId,
  GpuReading,
  Health,
  JobClass,
  JobId,
  JobOutcome,
  MonotonicMs,
  WaitReason,
} from './vocabulary.js';

/** A job as anybody may see it. Never a body, a prompt or a header. */
export interface JobView {
  readonly id: JobId;
  readonly consumer: ConsumerId;
  readonly model: string | null;
  readonly capability: Capability | null;
  readonly class: JobClass;
  readonly client: string;
  readonly state: 'waiting' | 'running' | 'ended';
  readonly answered: boolean;
  /** Its headers came. */
  readonly queuedAt: MonotonicMs;
  readonly grantedAt: MonotonicMs | null;
  readonly firstByteAt: MonotonicMs | null;
  readonly endedAt: MonotonicMs | null;
  /** Among the waiting ones, from 1; null when not waiting or still taken in. */
  readonly position: number | null;
  readonly expectedWaitMs: number | null;
  /** null unless waiting. */
  readonly reason: WaitReason | null;
  /** The reasons it waited for, one after another, at most 32. */
  readonly reasons: readonly { readonly at: MonotonicMs; readonly reason: WaitReason }[];
  readonly outcome: JobOutcome | null;
}

export type Fact =
  | {
      readonly type: 'job';
      readonly change: 'announced' | 'queued' | 'granted' | 'answered' | 'ended' | 'work_over';
      readonly job: JobView;
    }
  | { readonly type: 'consumer'; readonly consumer: ConsumerId; readonly health: Health; readonly error: string | null }
  | { readonly type: 'gpu'; readonly reading: GpuReading | null; readonly error: string | null }
  | {
      readonly type: 'config';
      readonly consumersAdded: readonly ConsumerId[];
      readonly consumersRemoved: readonly ConsumerId[];
    }
  | { readonly type: 'operator'; readonly action: string; readonly by: string };

export type FactType = Fact['type'];
/** A fact with the time of the step that told it. */
export interface TimedFact {
  readonly at: MonotonicMs;
  readonly fact: Fact;
}
