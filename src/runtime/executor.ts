/** Carries the core's commands to those who can do them. Decides nothing and keeps nothing. */
import type { Command, CommandHandlers, CommandOf, CommandType } from '../core/commands.js';
import type { MonotonicMs } from '../core/vocabulary.js';
import type { Journal } from './journal.js';
import type { JobPort } from './ports.js';

export type Execute = (command: Command, at: MonotonicMs) => void;

export function createExecutor(jobs: JobPort, journal: Journal): Execute {
  return (command, at) => {
    const handlers: CommandHandlers = {
      AdmitJob: ({ jobId }) => jobs.admit(jobId),
      GrantJob: ({ jobId }) => jobs.grant(jobId),
      RefuseJob: ({ jobId, outcome, retryAfterS }) => jobs.refuse(jobId, outcome, retryAfterS),
      AbortJob: ({ jobId, outcome }) => jobs.abort(jobId, outcome),
      RecordFact: ({ fact }) => journal.record(at, fact),
    };
    run(handlers, command);
  };
}

function run<T extends CommandType>(handlers: CommandHandlers, command: CommandOf<T>): void {
  const handler = handlers[command.type] as (command: CommandOf<T>) => void;
  handler(command);
}
