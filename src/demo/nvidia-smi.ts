/**
 * The pretend `nvidia-smi`, the program behind the script that `installNvidiaSmi` writes. Run as
 * `node nvidia-smi.js CARD-FOLDER ARGUMENT...`; the questions are in `nvidia-smi-answers.ts`.
 */
import { answerSmi } from './nvidia-smi-answers.js';

function say(args: readonly string[], folder: string): void {
  const { output, exitCode, everyMs } = answerSmi(args, folder);
  process.stdout.write(output);
  process.exitCode = exitCode;
  // With a loop option it goes on until a signal ends it.
  if (exitCode === 0 && everyMs !== null) setTimeout(() => say(args, folder), everyMs);
}

const [folder = '.', ...args] = process.argv.slice(2);
say(args, folder);
