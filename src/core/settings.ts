/** The part of the configuration that decisions depend on. Made from `Configuration` by `runtime/settings.ts`. */
import type { ConsumerId, JobClass, PolicyName } from './vocabulary.js';

export interface ConsumerSettings {
  readonly id: ConsumerId;
  /** Where it lives, as one text: when it changes, what was known of its health is void. */
  readonly endpoint: string;
  readonly cards: readonly number[];
  readonly parallel: number;
}

export interface Settings {
  readonly policy: PolicyName;
  /** Jobs that have not begun, counted from their headers on. */
  readonly queueMax: number;
  /** Longest wait for a grant; null: for ever. */
  readonly queueTimeoutMs: Readonly<Record<JobClass, number | null>>;
  readonly consumers: ReadonlyMap<ConsumerId, ConsumerSettings>;
}
