/**
 * The effective configuration: defaults filled in, kinds' defaults merged, durations in milliseconds, sizes in the
 * unit of the name. Made by `load.ts` from a checked file; everybody else reads only this. Immutable.
 */

import type { Capability, ConsumerId, JobClass, PolicyName, Target } from '../core/vocabulary.js';
import type { Workflow } from './workflow.js';

export const KIND_NAMES = ['http', 'ollama', 'whisper-server', 'comfyui', 'openai', 'automatic1111'] as const;
export type KindName = (typeof KIND_NAMES)[number];

export interface BindAddress {
  /** Without brackets, IPv6 too. */
  readonly host: string;
  readonly port: number;
}

/** A call that loads or unloads: over HTTP at the consumer, or a command of this machine. */
export type CallSpec =
  | {
      readonly method: string;
      readonly path: string;
      /** As it is sent: a text, or JSON that was an object in the file. */
      readonly body: string | null;
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly command: readonly string[] };

export interface HealthCheck {
  readonly path: string;
  /** null: 200 to 299 (with a configured path), any answer below 500 (without one). */
  readonly expect: { readonly statuses: readonly number[] } | { readonly text: string } | null;
  /** True where no path was configured and `GET /` stands in: any answer below 500 is up. */
  readonly anyAnswer: boolean;
}

/** Whose VRAM belongs to the consumer; null: the process that listens on the port, and its descendants. */
export type ProcessMatch = { readonly unit: string } | { readonly cgroup: RegExp } | { readonly name: RegExp };

export interface Timeouts {
  readonly connectMs: number;
  readonly loadMs: number;
  readonly unloadMs: number;
  readonly uploadMs: number;
  /** null: as `runMs`. */
  readonly firstByteMs: number | null;
  readonly idleMs: number;
  readonly runMs: number;
}

export interface ModelConfiguration {
  readonly vramResidentMib: number | null;
  readonly vramRunMib: number | null;
  readonly class: JobClass | null;
  readonly pin: boolean;
}

/** How a consumer is asked for speech; null at a consumer: as the OpenAI API asks, if its kind speaks that. */
export interface SpeechConfiguration {
  readonly path: string;
  /** Names of the members of the JSON body. */
  readonly textMember: string;
  readonly voiceMember: string;
  /** The member of its JSON answer that names the path of the audio; null: the answer is the audio. */
  readonly audioMember: string | null;
  /** It makes WAV only; false: any format that it is asked for by `response_format`. */
  readonly wavOnly: boolean;
}

export interface ConsumerConfiguration {
  readonly id: ConsumerId;
  readonly kind: KindName;
  /** `http://host:port` and a path prefix or none; never a trailing slash. */
  readonly url: string;
  readonly health: HealthCheck;
  readonly paths: Readonly<Partial<Record<Capability, string>>>;
  /** `METHOD /pattern`, `*` stands for anything; further patterns that need no grant. */
  readonly passes: readonly string[];
  readonly vramResidentMib: number | null;
  readonly vramRunMib: number | null;
  readonly canCoexistWith: readonly ConsumerId[];
  readonly load: CallSpec | null;
  readonly unload: CallSpec | null;
  readonly unit: string | null;
  readonly start: 'parked' | 'on-demand' | 'never';
  readonly processes: ProcessMatch | null;
  readonly parallel: number;
  readonly class: JobClass;
  readonly models: ReadonlyMap<string, ModelConfiguration>;
  readonly cards: readonly number[];
  readonly pin: boolean;
  /** Added to what goes upstream. Secret: never shown. */
  readonly headers: Readonly<Record<string, string>>;
  readonly drainMs: number;
  readonly timeouts: Timeouts;
  /** What a streamed chat is sent while its job waits: nothing, comments, or what goes on as reasoning text. */
  readonly waiting: 'off' | 'comment' | 'reasoning';
  readonly speech: SpeechConfiguration | null;
  /** Voices by the name that clients ask for. Empty: names pass as they are. */
  readonly voices: ReadonlyMap<string, string>;
  /** Asked for where a client names none, or one that is not known here; null: what the client said. */
  readonly defaultVoice: string | null;
  /** What makes pictures, by the name that clients ask for. Empty: none are made on the OpenAI routes. */
  readonly workflows: ReadonlyMap<string, Workflow>;
}

export interface Configuration {
  /** Absolute path; null: none, the daemon runs on what `discover` found. */
  readonly file: string | null;
  readonly bind: readonly BindAddress[];
  readonly policy: PolicyName;
  readonly routes: Readonly<Partial<Record<Capability, ConsumerId>>>;
  readonly audioProxy: ConsumerId | null;
  /** Names of models on the OpenAI routes, and what is meant. */
  readonly aliases: ReadonlyMap<string, Target>;
  readonly gpu: {
    readonly source: 'auto' | 'nvidia-smi' | 'none';
    readonly intervalMs: number;
    readonly reserveMib: number;
    readonly totalMib: number | null;
  };
  readonly health: { readonly intervalMs: number; readonly timeoutMs: number };
  readonly queue: {
    readonly max: number;
    /** null: for ever. */
    readonly timeoutMs: Readonly<Record<JobClass, number | null>>;
    readonly noRoomMs: number;
  };
  readonly limits: {
    readonly bodyBytes: number;
    readonly bufferBytes: number;
    readonly memoryBytes: number;
    readonly spoolBytes: number;
  };
  readonly access: {
    /** CIDR networks. */
    readonly allow: readonly string[];
    readonly operators: readonly string[];
    readonly proxies: readonly string[];
    /** Host names and `*.suffix` patterns beside IP addresses, `localhost`, single labels and the machine's own names, which are always answered unless the file lists hosts itself. */
    readonly hosts: readonly string[] | null;
    /** Lower-case; `*`: every page. */
    readonly origins: readonly string[];
  };
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' };
  /** Absolute path. */
  readonly stateDir: string;
  readonly consumers: ReadonlyMap<ConsumerId, ConsumerConfiguration>;
}

/** One thing wrong (or without effect) in a configuration file. Lines and columns count from 1. */
export interface ConfigProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** `consumers.ollama.url`; empty for a syntax error. */
  readonly keyPath: string;
  readonly message: string;
}

/** `FILE:LINE:COLUMN KEY.PATH: what is wrong; what would be right` */
export function formatProblem(problem: ConfigProblem): string {
  const place = `${problem.file}:${problem.line}:${problem.column}`;
  return problem.keyPath === '' ? `${place}: ${problem.message}` : `${place} ${problem.keyPath}: ${problem.message}`;
}
