/** What the wings and the runtime know of one another: small interfaces, wired by `main.ts`. */
import type { Configuration } from '../config/configuration.js';
import type { OperatorResult } from '../core/commands.js';
import type { ConsumerAnswer, CoreEvent } from '../core/events.js';
import type { TimedFact } from '../core/facts.js';
import type { BrokerMemory } from '../core/memory.js';
import type { Intake, Snapshot } from '../core/snapshot.js';
import type { ConsumerId, JobId, JobOutcome, MonotonicMs, Target, WallMs } from '../core/vocabulary.js';

export interface Clock {
  /** Never goes back. */
  now(): MonotonicMs;
  /** The wall-clock time of a monotonic one. */
  wallOf(at: MonotonicMs): WallMs;
}

/** The loop, for those who report events and read the state. `post` returns after the step and its commands ran, or, from inside a step, before. */
export interface BrokerPort {
  post(event: CoreEvent): void;
  snapshot(): Snapshot;
  intake(): Intake;
  /** When the loop last turned; it turns at least every 2 s. */
  lastTurnAt(): MonotonicMs;
}

/** The proxy, for the executor. None of these throw; each is called at most once per job, in this order. */
export interface JobPort {
  admit(id: JobId): void;
  grant(id: JobId): void;
  refuse(id: JobId, outcome: JobOutcome, retryAfterS: number | null | undefined): void;
  abort(id: JobId, outcome: JobOutcome): void;
  /** Its answer said out of memory (`OutOfMemorySeen`), room was made: the same body once more. */
  retry(id: JobId): void;
  /** Its answer said out of memory, and goes to the client as it is. */
  pass(id: JobId): void;
}

/** The consumers, for the executor: by their kind's adapter or by what the configuration says. Each call is bounded. */
export interface ConsumerPort {
  load(target: Target, timeoutMs: number): Promise<void>;
  unload(target: Target, timeoutMs: number): Promise<void>;
  /** null: it did not answer in time, or its kind cannot say anything. */
  ask(id: ConsumerId): Promise<ConsumerAnswer | null>;
}

/** systemd user units. */
export interface UnitPort {
  /** Resolves when the unit runs and the consumer's health was seen good. */
  start(id: ConsumerId, timeoutMs: number): Promise<void>;
  stop(id: ConsumerId, timeoutMs: number): Promise<void>;
}

export interface CardPort {
  /** A reading that begins from now on; `CardMeasured` follows, with or without one. */
  measure(): void;
}

export interface MemoryPort {
  /** Written when this returns, or logged why not: a unit is stopped right after. */
  save(memory: BrokerMemory): void;
}

export interface OperatorPort {
  answer(request: number, result: OperatorResult): void;
}

/** The journal, for those who watch. */
export interface JournalPort {
  /** Newest last; bounded. */
  recentFacts(): readonly TimedFact[];
  /** Returns the way to stop. Listeners must not throw and must not post events from inside. */
  subscribe(listener: (fact: TimedFact) => void): () => void;
}

/** The configuration in force. */
export interface ConfigurationPort {
  current(): Configuration;
  loadedAt(): WallMs;
  /** Of the last refused reload; null when the file on disk is the one in force. */
  error(): string | null;
  /** Reads the file again; throws BrokerError `bad_request` listing all problems. Returns what needs a restart. */
  reload(by: string): Promise<{ readonly changed: boolean; readonly needsRestart: readonly string[] }>;
}

/** Structured log: one line a fact. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
