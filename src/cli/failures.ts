/** How a command can end other than well, and the exit code of each. Owns the wording at the end of a failed command. */
import { CommanderError } from 'commander';

export const EXIT = { good: 0, no: 1, usage: 2, unreachable: 3, bug: 70 } as const;

/** The answer is no: what the daemon or this command refused, said as it is. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}

/** What was asked makes no sense. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Nobody answers, or somebody who is not mGPUmanager. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
  /** One line, for those who go on trying. */
  readonly causeText: string;

  constructor(url: string, source: string, causeText: string) {
    super(
      `${url} cannot be reached: ${causeText}\n` +
        `The address is from ${source}; another one: --url http://HOST:PORT or $MGPU_URL.\n` +
        'To start it: `mgpu serve`, or as a service `systemctl --user start mgpumanager`; without a GPU: `mgpu demo`.',
    );
    this.causeText = causeText;
  }
}

/** Says on stderr what happened; returns the exit code. */
export function reportFailure(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.good : EXIT.usage;
  if (error instanceof Refusal) return complain(error.message, EXIT.no);
  if (error instanceof UsageError) return complain(error.message, EXIT.usage);
  if (error instanceof Unreachable) return complain(error.message, EXIT.unreachable);
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return complain(`This is a bug in mgpu, please report it:\n${trace}`, EXIT.bug);
}

function complain(message: string, exitCode: number): number {
  process.stderr.write(`${message}\n`);
  return exitCode;
}
