/**
 * Carries the core's commands to those who can do them, and posts their ends back as events. Decides nothing and keeps
 * nothing. Whatever takes time has a limit of its own; the core has one more, later, in case an end never comes.
 */
import type { Command, CommandHandlers, CommandOf, CommandType } from '../core/commands.js';
import type { ConsumerId, MonotonicMs } from '../core/vocabulary.js';
import type { Journal } from './journal.js';
import type { BrokerPort, CardPort, ConsumerPort, JobPort, MemoryPort, OperatorPort, UnitPort } from './ports.js';

export interface ExecutorOptions {
  readonly broker: Pick<BrokerPort, 'post'>;
  readonly jobs: JobPort;
  readonly journal: Journal;
  readonly consumers: ConsumerPort;
  readonly units: UnitPort;
  readonly card: CardPort;
  readonly memory: MemoryPort;
  readonly operators: OperatorPort;
}

export type Execute = (command: Command, at: MonotonicMs) => void;

export function createExecutor(options: ExecutorOptions): Execute {
  const { broker, jobs, journal, consumers, units } = options;
  let at: MonotonicMs = 0;
  const handlers: CommandHandlers = {
    AdmitJob: ({ jobId }) => jobs.admit(jobId),
    GrantJob: ({ jobId }) => jobs.grant(jobId),
    RetryJob: ({ jobId }) => jobs.retry(jobId),
    PassAnswer: ({ jobId }) => jobs.pass(jobId),
    RefuseJob: ({ jobId, outcome, retryAfterS }) => jobs.refuse(jobId, outcome, retryAfterS),
    AbortJob: ({ jobId, outcome }) => jobs.abort(jobId, outcome),
    StartLoad({ target, timeoutMs }) {
      const work = consumers.load(target, timeoutMs);
      report(work, (error) => broker.post({ type: 'LoadEnded', target, error }));
    },
    StartUnload({ target, timeoutMs }) {
      const work = consumers.unload(target, timeoutMs);
      report(work, (error) => broker.post({ type: 'UnloadEnded', target, error }));
    },
    StartUnit({ consumer, timeoutMs }) {
      const work = units.start(consumer, timeoutMs);
      report(work, (error) => broker.post({ type: 'UnitStarted', consumer, error }));
    },
    StopUnit({ consumer, timeoutMs }) {
      const work = units.stop(consumer, timeoutMs);
      report(work, (error) => broker.post({ type: 'UnitStopped', consumer, error }));
    },
    MeasureCard: () => options.card.measure(),
    AskConsumer: ({ consumer }) => ask(options, consumer, at),
    AnswerOperator: ({ request, result }) => options.operators.answer(request, result),
    SaveMemory: ({ memory }) => options.memory.save(memory),
    RecordFact: ({ fact }) => journal.record(at, fact),
  };
  return (command, now) => {
    at = now;
    run(handlers, command);
  };
}

function report(work: Promise<void>, tell: (error: string | null) => void): void {
  work.then(
    () => tell(null),
    (error: unknown) => tell(error instanceof Error ? error.message : String(error)),
  );
}

function ask({ broker, consumers }: ExecutorOptions, consumer: ConsumerId, startedAt: MonotonicMs): void {
  consumers.ask(consumer).then(
    (answer) => broker.post({ type: 'ConsumerAsked', consumer, answer, startedAt }),
    () => broker.post({ type: 'ConsumerAsked', consumer, answer: null, startedAt }),
  );
}

function run<T extends CommandType>(handlers: CommandHandlers, command: CommandOf<T>): void {
  const handler = handlers[command.type] as (command: CommandOf<T>) => void;
  handler(command);
}
