/**
 * A copy of this checkout with a configuration of its own, to deploy from: tests change what is in it, the checkout
 * stays as it is.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Outcome, ROOT, runProgram } from './programs.js';
import type { ScratchAccount } from './scratch-account.js';

/** Linked, or no part of what is built. */
const NOT_COPIED = ['node_modules', '.git'];

export interface ReleaseTree {
  readonly folder: string;
  /** By make, as a user does it. */
  make(verb: string, account: ScratchAccount): Promise<Outcome>;
  /** What is in dist now, without building it anew. */
  deployAsItIs(account: ScratchAccount): Promise<Outcome>;
  /** Puts code in front of what the command line does, so that it is another release. */
  change(code: string): void;
  /** Back to the build of the checkout. */
  reset(): void;
  remove(): void;
}

export function openReleaseTree(shippedConfiguration: string): ReleaseTree {
  const folder = mkdtempSync(join(tmpdir(), 'mgpu-release-'));
  const copy = (name: string): void =>
    cpSync(join(ROOT, name), join(folder, name), { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  for (const name of readdirSync(ROOT)) if (!NOT_COPIED.includes(name)) copy(name);
  // Not a link: where make finds it older than the lock file, `npm ci` empties it first.
  copy('node_modules');
  writeFileSync(join(folder, 'config/consumers.yaml'), shippedConfiguration);
  const environment = (account: ScratchAccount) => ({ ...process.env, SSH_OPTIONS: account.sshOptions });
  const entry = 'dist/src/cli/main.js';
  return {
    folder,
    make: (verb, account) =>
      runProgram('make', ['-C', folder, verb, `HOST=${account.host}`, `SSH_OPTIONS=${account.sshOptions}`], {
        env: process.env,
        limitMs: 240_000,
      }),
    deployAsItIs: (account) =>
      runProgram('sh', [join(folder, 'scripts/deploy.sh'), 'deploy', account.host], {
        env: environment(account),
        limitMs: 240_000,
      }),
    change: (code) => {
      const [, shebang = '', rest = ''] = /^(#!.*\n)?([\s\S]*)$/.exec(readFileSync(join(folder, entry), 'utf8')) ?? [];
      writeFileSync(join(folder, entry), `${shebang}${code}\n${rest}`);
    },
    reset: () => copy(entry),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
