/**
 * What the core wants done, in the imperative. Carried out by `runtime/executor.ts`; whatever takes time comes back
 * as an event.
 */
import type { Fact } from './facts.js';
import type { JobId, JobOutcome } from './vocabulary.js';

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
  /** Tell the journal: it feeds events, logs, metrics, `why`. */
  | { readonly type: 'RecordFact'; readonly fact: Fact };

export type CommandType = Command['type'];
export type CommandOf<T extends CommandType> = Extract<Command, { readonly type: T }>;
/** Does not compile while a command has no handler. */
export type CommandHandlers = { readonly [T in CommandType]: (command: CommandOf<T>) => void };
