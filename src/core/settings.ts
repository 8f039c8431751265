/** The part of the configuration that decisions depend on. Made from `Configuration` by `runtime/settings.ts`. */
import type { ConsumerId, JobClass, PolicyName } from './vocabulary.js';

export interface DeclaredFootprint {
  readonly residentMib: number | null;
  readonly runMib: number | null;
  readonly pinned: boolean;
}

/** What a kind can do about VRAM, as the core needs to know it. */
export interface KindPowers {
  /** `by_call`: what was unloaded must be told to come back before it works. */
  readonly loads: 'by_job' | 'by_call' | 'at_start';
  readonly swaps: 'consumer' | 'models';
  /** It knows how to unload without a configured `unload`. */
  readonly unloads: boolean;
  readonly asksForeignWork: boolean;
}

export interface ConsumerSettings {
  readonly id: ConsumerId;
  /** Where it lives, as one text: when it changes, what was known of its health is void. */
  readonly endpoint: string;
  /** Which cards it uses; its footprint is taken to be spread over them evenly. Never empty. */
  readonly cards: readonly number[];
  readonly parallel: number;
  readonly declared: DeclaredFootprint;
  readonly models: ReadonlyMap<string, DeclaredFootprint>;
  readonly canCoexistWith: ReadonlySet<ConsumerId>;
  /** `by_job`: a job loads its target; `by_call`: needs `StartLoad` first; `at_start`: resident while its process runs. */
  readonly loads: 'by_job' | 'by_call' | 'at_start';
  /** Whether it can be asked to unload; else only its unit can be stopped. */
  readonly unloadsByCall: boolean;
  readonly unit: string | null;
  readonly start: 'parked' | 'on-demand' | 'never';
  /** What swaps: the whole consumer, or its models one by one. */
  readonly swaps: 'consumer' | 'models';
  /** Whether it can be asked for others' work: then it is asked before each grant, eviction and stop. */
  readonly asksForeignWork: boolean;
  readonly loadTimeoutMs: number;
  readonly unloadTimeoutMs: number;
}

export interface Settings {
  readonly policy: PolicyName;
  /** Jobs that have not begun, counted from their headers on. */
  readonly queueMax: number;
  /** Longest wait for a grant; null: for ever. */
  readonly queueTimeoutMs: Readonly<Record<JobClass, number | null>>;
  /** How long to wait for room that only strangers could give back. */
  readonly noRoomMs: number;
  /** Kept free on every card. */
  readonly reserveMib: number;
  /** The budget of a card where nothing can be measured; null: unknown. */
  readonly totalMib: number | null;
  readonly consumers: ReadonlyMap<ConsumerId, ConsumerSettings>;
}
