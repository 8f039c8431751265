/** What must outlive the daemon: which consumers it parked, what operators pinned, what was learned. Plain data. */
import type { ConsumerId } from './vocabulary.js';

/** One learned quantity, MiB: the value in use and the last observations (newest last, at most 5). */
export interface LearnedMib {
  readonly mib: number;
  readonly recent: readonly number[];
  /** How many observations since it was last raised. */
  readonly below: number;
}

export interface LearnedTarget {
  readonly resident: LearnedMib | null;
  readonly run: LearnedMib | null;
  readonly loadMs: number | null;
  readonly unloadMs: number | null;
}

export interface BrokerMemory {
  readonly parked: readonly ConsumerId[];
  /** Names of targets (`CONSUMER` or `CONSUMER/MODEL`). */
  readonly pinned: readonly string[];
  /** By name of target. */
  readonly targets: Readonly<Record<string, LearnedTarget>>;
  /** What a consumer keeps after a good unload, MiB, by consumer. */
  readonly residues: Readonly<Record<string, LearnedMib>>;
}

export const NO_MEMORY: BrokerMemory = { parked: [], pinned: [], targets: {}, residues: {} };
