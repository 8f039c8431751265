/** Where the configuration file and the state folder lie (product.md 3, XDG Base Directory Specification). */
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

export type FoundFile =
  | { readonly file: string; readonly by: 'option' | 'MGPU_CONFIG' | 'XDG_CONFIG_HOME' }
  | { readonly file: null; readonly lookedAt: readonly string[] };

const home = (env: NodeJS.ProcessEnv): string => env.HOME || homedir();

/** The specification says that a relative path in such a variable is to be ignored. */
function baseFolder(variable: string | undefined, fallback: string): string {
  return variable !== undefined && isAbsolute(variable) ? variable : fallback;
}

/**
 * `--config`, then `$MGPU_CONFIG`, then `$XDG_CONFIG_HOME/mgpumanager/consumers.yaml`; nowhere else. A file that was
 * named is taken as it is: whether it can be read is for `loadConfiguration` to say. Never throws.
 */
export async function findConfigurationFile(options: {
  readonly option?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}): Promise<FoundFile> {
  const { option, env } = options;
  if (option !== undefined) return { file: resolve(option), by: 'option' };
  const named = env.MGPU_CONFIG;
  if (named !== undefined && named !== '') return { file: resolve(named), by: 'MGPU_CONFIG' };
  const folder = baseFolder(env.XDG_CONFIG_HOME, join(home(env), '.config'));
  const usual = join(folder, 'mgpumanager', 'consumers.yaml');
  const exists = await access(usual).then(
    () => true,
    // No rights is not the same as no file: loading it will say so.
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT' && error.code !== 'ENOTDIR',
  );
  if (exists) return { file: usual, by: 'XDG_CONFIG_HOME' };
  return { file: null, lookedAt: ['--config (not given)', '$MGPU_CONFIG (not set)', `${usual} (does not exist)`] };
}

/** `$XDG_STATE_HOME/mgpumanager`, absolute. */
export function defaultStateFolder(env: NodeJS.ProcessEnv): string {
  return join(baseFolder(env.XDG_STATE_HOME, join(home(env), '.local', 'state')), 'mgpumanager');
}

/** `~/` at the beginning is the home folder, as in a shell. */
export const expandHome = (path: string, env: NodeJS.ProcessEnv): string =>
  path.startsWith('~/') ? join(home(env), path.slice(2)) : path;
