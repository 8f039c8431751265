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

/** What was known of all cards at one moment; `error` says why a reading is missing. */
export interface GpuReading {
  readonly source: 'nvidia-smi' | 'none';
  readonly sampledAt: MonotonicMs;
  readonly sampledWall: WallMs;
  readonly cards: readonly CardReading[];
}

/** Why a job waits: a code of scheduling.md part F and the numbers the decision used. Text: `describe.ts`. */
export type WaitReason =
  | { readonly code: 'taking_in' }
  | { readonly code: 'state_unknown'; readonly consumer: ConsumerId }
  | { readonly code: 'turn_busy'; readonly holder: JobId; readonly target: Target; readonly since: MonotonicMs }
  /** The holder has ended (its client left, its time was up), but its work on the card goes on. */
  | { readonly code: 'draining'; readonly holder: JobId; readonly target: Target; readonly since: MonotonicMs };

/** How a job ended, with a code of the catalogue (`errors.ts`) where it is not `done`. */
export interface JobOutcome {
  readonly end: JobEnd;
  readonly code: string | null;
  /** For people: what happened, where. */
  readonly message: string | null;
}
