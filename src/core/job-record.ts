/** What the broker knows of one job while it lives. */
import type { Capability, ConsumerId, JobClass, JobId, JobOutcome, MonotonicMs, WaitReason } from './vocabulary.js';

/**
 * `taking_in`: its body comes; `waiting`: for its grant; `running`: granted; `winding_down`: it has ended, but its
 * work on the card goes on and the grant is still out.
 */
export type JobPhase = 'taking_in' | 'waiting' | 'running' | 'winding_down';

export interface Aside {
  readonly reason: WaitReason;
  readonly since: MonotonicMs;
  /** Looked at again when a newer reading than this exists, or at `retryAt`. */
  readonly readingSerial: number;
  readonly retryAt: MonotonicMs | null;
}

export interface JobRecord {
  readonly id: JobId;
  readonly consumer: ConsumerId;
  readonly capability: Capability | null;
  /** Until its model is known, its consumer's. */
  class: JobClass;
  readonly client: string;
  model: string | null;
  /** False: it works elsewhere, holds no lock and no memory. */
  usesCard: boolean;
  phase: JobPhase;
  /** Its headers came. */
  readonly announcedAt: MonotonicMs;
  /** Its body was complete: from here it waits for its grant. */
  queuedAt: MonotonicMs | null;
  grantedAt: MonotonicMs | null;
  firstByteAt: MonotonicMs | null;
  endedAt: MonotonicMs | null;
  answered: boolean;
  outcome: JobOutcome | null;
  /** Since when it has waited outside the lock for something that nobody of ours can give; null: it does not. */
  aside: Aside | null;
  /** Its answer said out of memory once: it is tried again, alone on its cards. */
  triedAgain: boolean;
  /** What its run could have at its grant, MiB, all its cards together; null: nobody knew. */
  roomMib: number | null;
  readonly reasons: { readonly at: MonotonicMs; readonly reason: WaitReason }[];
}
