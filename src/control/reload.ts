/**
 * Owns the configuration in force. A new one is loaded and checked whole, then takes the old one's place in one step;
 * a bad one changes nothing and is remembered as the error that status shows.
 */
import { type ConfigProblem, type Configuration, formatProblem } from '../config/configuration.js';
import type { WallMs } from '../core/vocabulary.js';
import { BrokerError } from '../errors.js';
import type { ConfigurationPort, Log } from '../runtime/ports.js';

type LoadOutcome =
  | { readonly good: true; readonly configuration: Configuration; readonly warnings: readonly ConfigProblem[] }
  | { readonly good: false; readonly problems: readonly ConfigProblem[] };

export interface ReloadOptions {
  /** What the daemon started with; its `bind` and `stateDir` stay in force until a restart. */
  readonly initial: Configuration;
  readonly log: Log;
  /** Reads the file again; null: there is none. Command line options that override the file must be applied here too. */
  readonly load: (() => Promise<LoadOutcome>) | null;
  readonly compare: (
    before: Configuration,
    after: Configuration,
  ) => { readonly changed: boolean; readonly needsRestart: readonly string[] };
  /** Tells the broker (`ConfigApplied`); the port answers with the new configuration already. */
  readonly apply: (configuration: Configuration) => void;
  readonly wallNow?: () => WallMs;
}

type Reloaded = Awaited<ReturnType<ConfigurationPort['reload']>>;

export function createReloadable(options: ReloadOptions): ConfigurationPort {
  const { initial, log, load, compare, apply } = options;
  const wallNow = options.wallNow ?? Date.now;
  let inForce = initial;
  /** As the file said it, without what a restart is needed for. */
  let asWritten = initial;
  let loadedAt = wallNow();
  let refusal: string | null = null;
  let turn: Promise<unknown> = Promise.resolve();

  async function reloadNow(by: string): Promise<Reloaded> {
    if (load === null) {
      const text = 'there is no configuration file to read again; start the daemon with --config FILE';
      throw new BrokerError('bad_request', text);
    }
    const loaded = await load();
    if (!loaded.good) throw refuse(loaded.problems);
    refusal = null;
    for (const warning of loaded.warnings) log.warn({}, formatProblem(warning));
    const { changed } = compare(asWritten, loaded.configuration);
    const { needsRestart } = compare(initial, loaded.configuration);
    if (changed) {
      asWritten = loaded.configuration;
      inForce = { ...loaded.configuration, bind: initial.bind, stateDir: initial.stateDir };
      loadedAt = wallNow();
      apply(inForce);
      log.info({ by, needs_restart: needsRestart }, describe(needsRestart));
    }
    return { changed, needsRestart };
  }

  function refuse(problems: readonly ConfigProblem[]): BrokerError {
    const lines = problems.map(formatProblem);
    if (lines.join('\n') !== refusal) log.error({ problems: lines }, 'configuration refused; the one in force stays');
    refusal = lines.join('\n');
    return new BrokerError('bad_request', `the configuration was refused, the one in force stays:\n${refusal}`);
  }

  return {
    current: () => inForce,
    loadedAt: () => loadedAt,
    error: () => refusal,
    /** One at a time: the file's watcher and an operator may ask at once. */
    reload(by) {
      const result = turn.then(() => reloadNow(by));
      turn = result.catch(() => {});
      return result;
    },
  };
}

function describe(needsRestart: readonly string[]): string {
  if (needsRestart.length === 0) return 'configuration reloaded';
  return `configuration reloaded; a restart is needed for ${needsRestart.join(' and ')}`;
}
