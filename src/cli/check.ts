/**
 * `mgpu check [FILE] [--explain]`: says everything that is wrong with a configuration file. The answer and `--explain`
 * go to stdout; problems and warnings go to stderr, one a line, in the form that editors can jump to.
 */
import { dirname, relative } from 'node:path';
import type { Writable } from 'node:stream';
import { formatProblem } from '../config/configuration.js';
import type { EffectiveValue, Origin } from '../config/explain.js';
import { findConfigurationFile } from '../config/find.js';
import { type Loaded, loadConfiguration } from '../config/load.js';
import type { Kinds } from '../config/references.js';

export interface CheckOptions {
  /** undefined: looked for in the usual places. */
  readonly file?: string | undefined;
  readonly explain: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly kinds: Kinds;
}

/** Returns the exit code: 0 the file is good (warnings or not), 1 it is not, 2 there is no file to check. */
export async function checkCommand(options: CheckOptions): Promise<0 | 1 | 2> {
  const { env, kinds, stdout, stderr } = options;
  const say = (to: Writable, line: string) => void to.write(`${line}\n`);
  const found = await findConfigurationFile({ option: options.file, env });
  if (found.file === null) {
    say(stderr, 'no configuration file to check; looked at:');
    for (const place of found.lookedAt) say(stderr, `  ${place}`);
    say(stderr, 'name one: mgpu check FILE');
    return 2;
  }
  const result = await loadConfiguration(found.file, { env, kinds });
  if (!result.good) {
    for (const problem of result.problems) say(stderr, formatProblem(problem));
    say(stderr, `${found.file}: refused, ${count(result.problems.length, 'problem')}`);
    return 1;
  }
  for (const warning of result.warnings) {
    say(stderr, formatProblem({ ...warning, message: `warning: ${warning.message}` }));
  }
  if (options.explain) for (const line of explanation(result.origins, found.file)) say(stdout, line);
  say(stdout, `${found.file}: ${summary(result)}`);
  return 0;
}

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;

function summary({ configuration, warnings }: Loaded): string {
  const consumers = count(configuration.consumers.size, 'consumer');
  const without = warnings.length === 0 ? '' : `, ${count(warnings.length, 'warning')}`;
  return `good, ${consumers}, policy ${configuration.policy}${without}`;
}

function originText(origin: Origin, file: string): string {
  const name = relative(dirname(file), file);
  switch (origin.from) {
    case 'file':
      return `${name}:${origin.line}:${origin.column}`;
    case 'environment':
      return `${origin.variables.map((variable) => `$${variable}`).join(', ')} in ${name}:${origin.line}:${origin.column}`;
    case 'kind':
      return `kind ${origin.kind}`;
    case 'default':
      return 'default';
  }
}

/** Longer values push their origin to the right instead of spreading all lines. */
const WIDEST_COLUMN = 60;

function explanation(values: readonly EffectiveValue[], file: string): string[] {
  const left = values.map((value) => `${value.keyPath}: ${value.text}`);
  const width = Math.min(WIDEST_COLUMN, Math.max(...left.map((text) => text.length)));
  return values.map((value, index) => `${(left[index] ?? '').padEnd(width)}  # ${originText(value.origin, file)}`);
}
