/** Puts the pretend `nvidia-smi` into a folder that comes first in somebody's `PATH`. Owns nothing. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Writes `FOLDER/nvidia-smi`. A shell script and no `#!` line with Node's path: that one may be long or have blanks. */
export function installNvidiaSmi(folder: string, cardFolder: string): void {
  mkdirSync(folder, { recursive: true });
  const program = fileURLToPath(new URL('./nvidia-smi.js', import.meta.url));
  const path = join(folder, 'nvidia-smi');
  writeFileSync(path, `#!/bin/sh\nexec ${[process.execPath, program, cardFolder].map(quoted).join(' ')} "$@"\n`);
  chmodSync(path, 0o755);
}
