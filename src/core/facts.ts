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
  Residency,
  Target,
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

/** Why a target moved, with the numbers of the moment. Text: `describe.ts`. */
export type TargetReason =
  | { readonly code: 'loaded_for'; readonly job: JobId; readonly needMib: number; readonly freeMib: number | null }
  | {
      readonly code: 'evicted_for';
      /** null: an operator asked. */
      readonly job: JobId | null;
      readonly for: Target | null;
      readonly needMib: number;
      readonly freeMib: number | null;
      readonly idleMs: number | null;
    }
  | { readonly code: 'freed'; readonly mib: number | null; readonly tookMs: number; readonly how: 'reading' | 'said' }
  | { readonly code: 'ready'; readonly mib: number | null; readonly tookMs: number | null }
  | { readonly code: 'observed'; readonly mib: number | null; readonly how: string }
  | { readonly code: 'failed'; readonly message: string }
  | { readonly code: 'asked_by_operator' };

export type Fact =
  | {
      readonly type: 'job';
      readonly change: 'announced' | 'queued' | 'granted' | 'answered' | 'ended' | 'work_over';
      readonly job: JobView;
    }
  | {
      readonly type: 'target';
      readonly target: Target;
      readonly from: Residency;
      readonly to: Residency;
      readonly reason: TargetReason;
    }
  | { readonly type: 'out_of_memory'; readonly job: JobId; readonly target: Target; readonly message: string }
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
