/**
 * The contract of a service kind: what it was seen to do, and how the broker deals with it. One folder a kind. An
 * adapter keeps no truth of its own, it asks its service; everything it knows of a request it is told here.
 */
import type { ConsumerConfiguration, KindName } from '../config/configuration.js';
import type { ConsumerAnswer } from '../core/events.js';
import type { KindPowers } from '../core/settings.js';
import type { BrokerError } from '../errors.js';

/** What a kind brings where the file says nothing; texts as a person would write them in the file. */
export interface KindDefaults {
  readonly url: string | null;
  readonly health: string | { readonly path: string; readonly expect: number | readonly number[] | string } | null;
  readonly paths: Readonly<Partial<Record<'tts' | 'stt' | 'llm' | 'image', string>>>;
  readonly passes: readonly string[];
  readonly class: 'interactive' | 'normal' | 'batch';
  readonly parallel: number;
  /** Duration text such as `5s`: how long its work goes on after we broke off a job. */
  readonly drain: string;
}

/**
 * How a request below `/consumers/NAME/` is treated: `pass` goes through at once, `operator` likewise for operators
 * only (it loads, unloads, pulls, deletes, installs, interrupts others' work), `job` waits for a grant.
 */
export type RequestTreatment = 'pass' | 'operator' | 'job';

export interface RequestLine {
  readonly method: string;
  /** Path as the service sees it (below the prefix), decoded no further than it came, without query. */
  readonly path: string;
  readonly query: string;
}

/** The body of a job, complete: in memory or in a spool file. Can be read any number of times. */
export interface BodySource {
  readonly sizeBytes: number;
  /** Chunks in order. Each is good until the next one is asked for: whoever keeps some of it copies that. */
  read(): AsyncIterable<Buffer>;
}

/**
 * Sees the pieces of an answer on their way through (they are never held back or changed) and says at the end what
 * the protocol says. One per job.
 */
export interface AnswerWatch {
  /** Called for each piece of the answer's body as it came from the consumer (possibly compressed: then give up). */
  piece(chunk: Buffer): void;
  /** After a clean end of the body: an error the protocol shows although the transfer was clean, or null. */
  complaint(): string | null;
  /** Identifies the work at the service (ComfyUI: the prompt id); null where there is none or none was seen. */
  workId(): string | null;
}

/** An answer's head as it came from the consumer. Header names are lower-case. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** How work that outlives its answer ended. `lost`: in neither queue nor history any more. */
export type WorkVerdict =
  | { readonly end: 'done' }
  | { readonly end: 'failed'; readonly message: string; readonly outOfMemory?: boolean }
  | { readonly end: 'lost'; readonly message: string };

/** What a job needs in VRAM. */
export interface JobNeed {
  /** null where the kind has no models, or the body names none. One name for one set of weights. */
  readonly model: string | null;
  /** False: it works elsewhere (a model in the cloud) and needs no grant. */
  readonly usesCard: boolean;
  /** MiB it may take, where the service says the size of its file; a first guess, until it is learned. */
  readonly guessMib?: number;
}

/** The routes of the OpenAI API (and Anthropic's two) that need a consumer. */
export const OPENAI_ROUTES = [
  'chat',
  'completions',
  'embeddings',
  'responses',
  'messages',
  'count_tokens',
  'transcriptions',
  'translations',
  'speech',
  'images',
] as const;
export type OpenAiRoute = (typeof OPENAI_ROUTES)[number];

export interface ListedModel {
  readonly name: string;
  /** Unix seconds; null: it does not say. */
  readonly createdS: number | null;
  readonly owner: string | null;
}

export interface Adapter {
  readonly kind: KindName;
  readonly defaults: KindDefaults;

  treatment(request: RequestLine, consumer: ConsumerConfiguration): RequestTreatment;

  readonly powers: KindPowers;

  /** What a job needs. Never throws on bad bodies. */
  need(
    request: RequestLine,
    contentType: string | null,
    body: BodySource,
    consumer: ConsumerConfiguration,
  ): Promise<JobNeed>;

  /** null: nothing to see in this kind's answers. */
  watch(request: RequestLine, head: AnswerHead): AnswerWatch | null;

  /**
   * Whether the work goes on after a clean end of this answer (ComfyUI: a prompt was accepted). If not null, the job
   * stays `running` until the promise settles. `signal` aborts when the job is cancelled or its time is up; then
   * `brokenOff` is called instead and the promise is ignored.
   */
  workAfterAnswer(
    request: RequestLine,
    head: AnswerHead,
    watch: AnswerWatch | null,
    consumer: ConsumerConfiguration,
    signal: AbortSignal,
  ): Promise<WorkVerdict> | null;

  /**
   * Whether the service goes on with this request after its client left, and names the work in its answer (ComfyUI's
   * `POST /prompt`): a job that is broken off before that answer is listened to a little longer, so that `brokenOff`
   * gets the name. Absent: never.
   */
  namesWorkInAnswer?(request: RequestLine): boolean;

  /**
   * We broke off a job: its connection is closed already, `workId` is what was seen of it. Resolves when its work on
   * the GPU is over as far as this kind can tell (`http`: after `drain`; ollama 1 s; whisper-server 3 s; ComfyUI:
   * cancelled by prompt id, then gone from queue). Resolves also when the consumer is gone. Never rejects; bounded.
   */
  brokenOff(workId: string | null, consumer: ConsumerConfiguration): Promise<void>;

  /**
   * Makes a target resident without a job; resolves when the service says so. Absent: it loads by its jobs only.
   * Rejects with what the service said, and after `timeoutMs`.
   */
  load?(model: string | null, consumer: ConsumerConfiguration, timeoutMs: number): Promise<void>;

  /**
   * Asks the service to give a target's memory back; resolves when it says so, which proves nothing. `model: null` at a
   * kind with models: all of them. Absent: it cannot be asked. Rejects as `load` does.
   */
  unload?(model: string | null, consumer: ConsumerConfiguration, timeoutMs: number): Promise<void>;

  /** What the service says of itself. Bounded; null: no answer, which proves nothing. Absent: it cannot be asked. */
  ask?(consumer: ConsumerConfiguration): Promise<ConsumerAnswer | null>;

  /** Where this kind understands a route of the OpenAI API as its clients send it. Absent: nowhere. */
  readonly openaiPaths?: Readonly<Partial<Record<OpenAiRoute, string>>>;

  /** The models that it has, loaded or not, asked in a way that loads none. Rejects; bounded. Absent: none by name. */
  listModels?(consumer: ConsumerConfiguration, timeoutMs: number): Promise<readonly ListedModel[]>;

  /** The service's words where its answer says that the card's memory ran out; null: it does not. */
  outOfMemory(head: AnswerHead, body: string): string | null;

  /**
   * An error of ours in the shape that this service's own clients parse, for requests below `/consumers/NAME/`.
   */
  errorBody(error: BrokerError): { readonly contentType: string; readonly body: string };
}
