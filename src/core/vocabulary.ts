/**
 * The words of the core: identities, units and the things that everybody talks about.
 * Owns no state. Nothing here does anything; types only, and the lists they are made from.
 */

/** A string that was checked once and cannot be mixed up with another kind of string. */
type Branded<Name extends string> = string & { readonly __brand: Name };

/** `j_` and 20 letters or digits; made by the proxy, unique for the life of the machine. */
export type JobId = Branded<'JobId'>;
/** The consumer's key in the configuration: lower-case letters, digits, `-`, `_`, `.`. */
export type ConsumerId = Branded<'ConsumerId'>;

export const jobId = (text: string): JobId => text as JobId;
export const consumerId = (text: string): ConsumerId => text as ConsumerId;

export const CAPABILITIES = ['tts', 'stt', 'llm', 'image'] as const;
export type Capability = (typeof CAPABILITIES)[number];

/** From the most urgent to the least. */
export const JOB_CLASSES = ['interactive', 'normal', 'batch'] as const;
export type JobClass = (typeof JOB_CLASSES)[number];

export const POLICY_NAMES = ['passthrough', 'locked', 'vram-lru', 'swap-aware'] as const;
export type PolicyName = (typeof POLICY_NAMES)[number];

/** Milliseconds on a clock that never goes back (`runtime/clock.ts`). */
export type MonotonicMs = number;
/** Milliseconds since 1970, for people. Decisions never use it. */
export type WallMs = number;

/** What must be in VRAM for a job: a consumer, or one model of it. */
export interface Target {
  readonly consumer: ConsumerId;
  readonly model: string | null;
}

/** `CONSUMER` or `CONSUMER/MODEL`: the one way a target is written. */
export function targetName(target: Target): string {
  return target.model === null ? target.consumer : `${target.consumer}/${target.model}`;
}

/** The way back: a consumer's name never has a slash, a model's may have. */
export function targetOfName(name: string): Target {
  const slash = name.indexOf('/');
  if (slash === -1) return { consumer: consumerId(name), model: null };
  return { consumer: consumerId(name.slice(0, slash)), model: name.slice(slash + 1) };
}

/** The five ends of a job; every job has exactly one. */
export type JobEnd = 'done' | 'failed' | 'cancelled' | 'refused' | 'timed_out';

export type Health = 'up' | 'down' | 'unknown';

export type Residency = 'absent' | 'loading' | 'resident' | 'evicting' | 'unknown' | 'stuck' | 'parked';

/** One reading of one card. `null`: the tool did not say (never 0). MiB, percent, degrees Celsius, watts. */
export interface CardReading {
  readonly index: number;
  readonly uuid: string | null;
  readonly name: string | null;
  readonly totalMib: number | null;
  readonly usedMib: number | null;
  readonly freeMib: number | null;
  readonly driverReservedMib: number | null;
  readonly utilizationPct: number | null;
  readonly temperatureC: number | null;
  readonly powerW: number | null;
}

/** One process on one card, attributed to a consumer or to nobody of ours. */
export interface ProcessUse {
  readonly card: number;
  readonly pid: number;
  readonly name: string;
  /** null: the driver does not say (WSL, containers). */
  readonly usedMib: number | null;
  readonly consumer: ConsumerId | null;
}

/** What was known of all cards at one moment. */
export interface GpuReading {
  readonly source: 'nvidia-smi' | 'none';
  /** When the measurement began: what happened before is in it. */
  readonly startedAt: MonotonicMs;
  readonly sampledAt: MonotonicMs;
  readonly sampledWall: WallMs;
  readonly cards: readonly CardReading[];
  /** null: there is no list, or one that cannot be believed. */
  readonly processes: readonly ProcessUse[] | null;
}

/** MiB, with where the number comes from. */
export type FootprintSource = 'measured' | 'learned' | 'declared' | 'assumed';

/** A holder of VRAM that stands in the way, for messages. */
export interface Holder {
  readonly name: string;
  readonly mib: number;
}

interface Room {
  readonly needMib: number;
  /** What could be had now; null: no reading and no total. */
  readonly freeMib: number | null;
}

/** Why a job waits: a code and the numbers the decision used. Text: `describe.ts`. */
export type WaitReason =
  | { readonly code: 'taking_in' }
  | { readonly code: 'state_unknown'; readonly consumer: ConsumerId }
  | { readonly code: 'turn_busy'; readonly holder: JobId; readonly target: Target; readonly since: MonotonicMs }
  /** The holder has ended (its client left, its time was up), but its work on the card goes on. */
  | { readonly code: 'draining'; readonly holder: JobId; readonly target: Target; readonly since: MonotonicMs }
  /** Somebody else has the lock and room is being made for him. */
  | { readonly code: 'behind'; readonly ahead: JobId; readonly target: Target; readonly since: MonotonicMs }
  /** Asked before anything is decided: a consumer for what it works on and has loaded; null: for a new reading. */
  | ({ readonly code: 'measuring'; readonly asks: ConsumerId | null; readonly since: MonotonicMs } & Room)
  /** `victim` was asked to leave; only a reading makes its memory free. */
  | ({
      readonly code: 'unverified';
      readonly victim: Target;
      readonly expectedMib: number;
      readonly freedMib: number | null;
      readonly since: MonotonicMs;
    } & Room)
  | { readonly code: 'loading'; readonly target: Target; readonly since: MonotonicMs; readonly usualMs: number | null }
  /** Another load or unload is under way on the card. */
  | { readonly code: 'load_queue'; readonly target: Target; readonly since: MonotonicMs }
  | ({ readonly code: 'foreign_work'; readonly consumer: ConsumerId; readonly since: MonotonicMs } & Room)
  | ({ readonly code: 'protected'; readonly kept: readonly Holder[] } & Room)
  | ({
      readonly code: 'no_room';
      readonly mostMib: number | null;
      readonly holders: readonly Holder[];
      readonly givenUpAt: MonotonicMs;
    } & Room)
  | { readonly code: 'cooling_down'; readonly target: Target; readonly failures: number; readonly until: MonotonicMs };

/** How a job ended, with a code of the catalogue (`errors.ts`) where it is not `done`. */
export interface JobOutcome {
  readonly end: JobEnd;
  readonly code: string | null;
  /** For people: what happened, where. */
  readonly message: string | null;
}
