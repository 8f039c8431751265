/** The real nvidia-smi behind a switch: as it is, without its process list, stuck, or gone. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export type SmiMode = 'good' | 'no-list' | 'stuck' | 'gone';

export class SwitchedSmi {
  readonly env: NodeJS.ProcessEnv;
  readonly #mode: string;

  constructor(folder: string) {
    const real = execFileSync('sh', ['-c', 'command -v nvidia-smi']).toString().trim();
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    this.#mode = join(folder, 'mode');
    const script = join(bin, 'nvidia-smi');
    writeFileSync(
      script,
      `#!/bin/sh
case "$(cat '${this.#mode}')" in
  stuck) exec sleep 600 ;;
  gone) exit 127 ;;
  no-list) case "$*" in *compute-apps*) exit 0 ;; esac ;;
esac
exec '${real}' "$@"
`,
    );
    chmodSync(script, 0o755);
    this.set('good');
    this.env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` };
  }

  set(mode: SmiMode): void {
    writeFileSync(this.#mode, mode);
  }
}
