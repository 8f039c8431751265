/**
 * What the core wants done, in the imperative. Carried out by `runtime/executor.ts`; whatever takes time comes back
 * as an event.
 */
import type { Fact } from './facts.js';
import type { BrokerMemory } from './memory.js';
import type { ConsumerId, JobId, JobOutcome, Target } from './vocabulary.js';

export type OperatorResult =
  | { readonly ok: true; readonly message: string }
  | {
      readonly ok: false;
      readonly code: 'does_not_fit' | 'evict_failed' | 'load_failed' | 'bad_request';
      readonly message: string;
    };

export type Command =
  /** The job has a place: its body may come in. */
  | { readonly type: 'AdmitJob'; readonly jobId: JobId }
  /** The card is this job's now: send it to its consumer. */
  | { readonly type: 'GrantJob'; readonly jobId: JobId }
  /** The job ended before it was granted: answer with the outcome's code. For `cancelled` nobody is there to read it. */
  | {
      readonly type: 'RefuseJob';
      readonly jobId: JobId;
      readonly outcome: JobOutcome;
      readonly retryAfterS?: number | null;
    }
  /** The job ended while running: break the consumer's request off; `WorkEnded` must follow when its work is over. */
  | { readonly type: 'AbortJob'; readonly jobId: JobId; readonly outcome: JobOutcome }
  /** Its answer said out of memory, room was made: send the same body once more. */
  | { readonly type: 'RetryJob'; readonly jobId: JobId }
  /** Its answer said out of memory, and it goes to the client as it is. */
  | { readonly type: 'PassAnswer'; readonly jobId: JobId }
  | { readonly type: 'StartLoad'; readonly target: Target; readonly timeoutMs: number }
  | { readonly type: 'StartUnload'; readonly target: Target; readonly timeoutMs: number }
  /** `UnitStarted` follows when its health was seen good. */
  | { readonly type: 'StartUnit'; readonly consumer: ConsumerId; readonly timeoutMs: number }
  | { readonly type: 'StopUnit'; readonly consumer: ConsumerId; readonly timeoutMs: number }
  /** A reading that begins from now on; `CardMeasured` follows, with or without one. */
  | { readonly type: 'MeasureCard' }
  /** `ConsumerAsked` follows. */
  | { readonly type: 'AskConsumer'; readonly consumer: ConsumerId }
  | { readonly type: 'AnswerOperator'; readonly request: number; readonly result: OperatorResult }
  /** What must outlive the daemon changed. Before a `StopUnit` it is written first. */
  | { readonly type: 'SaveMemory'; readonly memory: BrokerMemory }
  /** Tell the journal: it feeds events, logs, metrics, `why`. */
  | { readonly type: 'RecordFact'; readonly fact: Fact };

export type CommandType = Command['type'];
export type CommandOf<T extends CommandType> = Extract<Command, { readonly type: T }>;
/** Does not compile while a command has no handler. */
export type CommandHandlers = { readonly [T in CommandType]: (command: CommandOf<T>) => void };
