/** What a plan works with, and what it may say. The stages are in `planner.ts`, `possible.ts` and `room.ts`. */
import type { Need } from './policies/vram-lru.js';
import { canBeAsked } from './startable.js';
import type { BrokerState, ConsumerState, TargetState } from './state.js';
import type { ConsumerId, MonotonicMs, Target, WaitReason } from './vocabulary.js';

/** Somebody who wants the card: a job, or an operator who wants a target loaded. */
export interface Demand {
  readonly target: Target;
  /** Whether a run follows, and room for it is needed. */
  readonly runs: boolean;
  /** It ran out of memory once: everybody else who can leave does. */
  readonly alone: boolean;
  /** Since when it has had the lock: what it asks of others must be younger. */
  readonly since: MonotonicMs;
}

export type Verdict =
  | { readonly kind: 'go'; readonly need: Need }
  | { readonly kind: 'load' | 'start'; readonly need: Need }
  | { readonly kind: 'measure'; readonly reason: WaitReason }
  | { readonly kind: 'ask'; readonly consumer: ConsumerId; readonly reason: WaitReason }
  | { readonly kind: 'evict'; readonly victim: TargetState; readonly need: Need; readonly freeMib: number | null }
  /** Keeps the lock: what is under way on the card wakes it. */
  | { readonly kind: 'wait'; readonly reason: WaitReason }
  /** Gives the lock back: nobody of ours can help now. */
  | { readonly kind: 'aside'; readonly reason: WaitReason; readonly retryAt: MonotonicMs | null }
  | { readonly kind: 'never'; readonly code: 'does_not_fit' | 'consumer_parked'; readonly message: string };

export interface Plan {
  readonly state: BrokerState;
  readonly consumer: ConsumerState;
  readonly target: TargetState;
  readonly demand: Demand;
  readonly need: Need;
  readonly needMib: number;
  readonly freeMib: number | null;
}

export const FOREIGN_WORK_POLL_MS = 1000;

export const sumOf = (values: Iterable<number>): number => [...values].reduce((sum, value) => sum + value, 0);

/** It can say who works on it, or which of its models are loaded, and has not been asked for this demand. */
export function mustAsk(consumer: ConsumerState, demand: Demand): boolean {
  return canBeAsked(consumer) && (consumer.askedAt === null || consumer.askedAt < demand.since);
}

export function isOnCards({ need }: Plan, consumer: ConsumerState): boolean {
  return consumer.settings.cards.some((card) => need.has(card));
}

export function askVerdict({ needMib, freeMib, state }: Plan, consumer: ConsumerState): Verdict {
  const reason = { code: 'measuring', asks: consumer.id, since: state.now, needMib, freeMib } as const;
  return { kind: 'ask', consumer: consumer.id, reason };
}

export function foreignVerdict({ needMib, freeMib, state }: Plan, consumer: ConsumerState): Verdict {
  const since = consumer.foreignSince ?? state.now;
  const reason = { code: 'foreign_work', consumer: consumer.id, since, needMib, freeMib } as const;
  return { kind: 'aside', reason, retryAt: state.now + FOREIGN_WORK_POLL_MS };
}
