/**
 * `mgpu serve`: the daemon as a process. Owns the signals, the log's level, the service manager's messages and the
 * exit code; what the daemon does is `main.ts`.
 */

import { type BindAddress, formatProblem } from '../config/configuration.js';
import { findConfigurationFile } from '../config/find.js';
import { parseConfiguration } from '../config/load.js';
import { readBindAddress } from '../config/values.js';
import { POLICY_NAMES, type PolicyName } from '../core/vocabulary.js';
import type { Overrides } from '../main.js';
import { ConfigurationRefused, type Daemon, type DaemonOptions, kindDefaults, startDaemon } from '../main.js';
import { type ChangeableLog, createLog } from '../runtime/log.js';
import { createNotifier, type Notifier } from '../runtime/notify.js';
import { EXIT, Refusal, UsageError } from './failures.js';
import { reachLines } from './reach.js';
import { printLines } from './screen.js';
import { count } from './words.js';

export interface ServeFlags {
  readonly config?: string;
  readonly policy?: string;
  readonly bind?: string;
}

/** Returns when the daemon runs; the process goes on until a signal. */
export async function serveCommand(flags: ServeFlags, env: NodeJS.ProcessEnv): Promise<void> {
  const overrides = overridesOf(flags, env);
  const source = await sourceOf(flags.config, env);
  const log = createLog({ level: 'info' });
  endOnBug(log);
  const daemon = await startOrRefuse({
    source,
    overrides,
    env,
    log,
    onConfiguration: (configuration) => log.setLevel(configuration.log.level),
  });
  const notifier = createNotifier({ env, log, healthy: () => daemon.healthy() });
  obeySignals(daemon, notifier, log);
  tell(reachLines(daemon.configuration.current(), daemon.urls), log);
  notifier.ready(`listening on ${daemon.urls.join(' and ')}`);
}

/** What the file would refuse is refused here with the same sentence. */
function overridesOf({ policy, bind }: ServeFlags, env: NodeJS.ProcessEnv): Overrides {
  return {
    ...(policy === undefined ? {} : { policy: readPolicy(policy, env) }),
    ...(bind === undefined ? {} : { bind: [readBind(bind)] }),
  };
}

function readPolicy(text: string, env: NodeJS.ProcessEnv): PolicyName {
  const file = `policy: ${JSON.stringify(text)}\nconsumers: { any: { kind: ollama } }\n`;
  const checked = parseConfiguration(file, { env, kinds: kindDefaults() });
  const name = POLICY_NAMES.find((each) => each === text);
  if (checked.good && name !== undefined) return name;
  const message = checked.good ? 'not a policy' : checked.problems[0]?.message;
  throw new UsageError(`--policy: ${message}`);
}

function readBind(text: string): BindAddress {
  const reading = readBindAddress(text);
  if ('wrong' in reading) throw new UsageError(`--bind: ${reading.wrong}`);
  return reading.value;
}

async function sourceOf(option: string | undefined, env: NodeJS.ProcessEnv): Promise<DaemonOptions['source']> {
  const found = await findConfigurationFile({ option, env });
  if (found.file !== null) return { file: found.file };
  printLines(process.stderr, ['No configuration file; looked at:', ...found.lookedAt.map((place) => `  ${place}`)]);
  const { discoverOrRefuse } = await import('./discover.js');
  return { text: await discoverOrRefuse(), name: 'what was discovered' };
}

async function startOrRefuse(options: DaemonOptions): Promise<Daemon> {
  try {
    return await startDaemon(options);
  } catch (error) {
    if (error instanceof ConfigurationRefused) throw refusalOf(error, options.source);
    if (isOfTheSystem(error)) throw new Refusal(error.message);
    throw error;
  }
}

function refusalOf({ result }: ConfigurationRefused, source: DaemonOptions['source']): Refusal {
  const lines = result.problems.map(formatProblem);
  const name = 'file' in source ? source.file : source.name;
  return new Refusal([...lines, `${name}: refused, ${count(lines.length, 'problem', 'problems')}`].join('\n'));
}

/** An address in use, a folder that may not be written: nothing that a report of a bug would mend. */
function isOfTheSystem(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return 'syscall' in error || isOfTheSystem(error.cause);
}

/** On a terminal it is said to the person, whatever the level of the log is. */
function tell(lines: readonly string[], log: ChangeableLog): void {
  if (process.stdout.isTTY) printLines(process.stdout, lines);
  else for (const line of lines) log.info({}, line);
}

/** A state that nobody foresaw is not gone on with: the service manager starts a new process. */
function endOnBug(log: ChangeableLog): void {
  process.on('uncaughtException', (error) => {
    try {
      log.fatal({ err: error }, 'a bug: ending, please report it');
    } finally {
      process.exit(EXIT.bug);
    }
  });
}

/** Under npm one Ctrl-C arrives twice, from the terminal and from npm. */
const SAME_CTRL_C_MS = 500;
const END_AT_ONCE = { SIGINT: 130, SIGTERM: 143 } as const;
type EndSignal = keyof typeof END_AT_ONCE;

function obeySignals(daemon: Daemon, notifier: Notifier, log: ChangeableLog): void {
  let first: { readonly signal: EndSignal; readonly at: number } | null = null;

  function onSignal(signal: EndSignal): void {
    const at = performance.now();
    if (first === null) {
      first = { signal, at };
      void stop(daemon, notifier, log);
      return;
    }
    const isSame = signal === 'SIGINT' && first.signal === 'SIGINT' && at - first.at < SAME_CTRL_C_MS;
    if (!isSame) process.exit(END_AT_ONCE[signal]);
  }

  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('SIGHUP', () => void reload(daemon, log));
}

async function stop(daemon: Daemon, notifier: Notifier, log: ChangeableLog): Promise<void> {
  tell(['Stopping: running jobs may finish within 30 s; a second signal ends at once.'], log);
  notifier.stopping('running jobs may finish within 30 s');
  await daemon.stop();
  await notifier.close();
  log.info({}, 'stopped');
  process.exit(EXIT.good);
}

async function reload(daemon: Daemon, log: ChangeableLog): Promise<void> {
  try {
    const { changed } = await daemon.configuration.reload('SIGHUP');
    if (!changed) log.info({}, 'SIGHUP: the configuration was read again, nothing changed');
  } catch (error) {
    log.warn({ cause: error instanceof Error ? error.message : String(error) }, 'SIGHUP: nothing was reloaded');
  }
}
