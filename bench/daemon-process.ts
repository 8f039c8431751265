/** The real daemon, `mgpu serve`, in a process of its own, as a person would start it; its log goes to /dev/null. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PolicyName } from '../src/core/vocabulary.js';
import { type Children, ROOT, type Running } from './children.js';

/** `rest`: what the file says beside `gpu` and `state_dir`. Ready, its consumers probed, when it returns. */
export function startDaemonProcess(children: Children, policy: PolicyName, rest: string): Promise<Running> {
  const file = join(children.folder, 'consumers.yaml');
  writeFileSync(file, `gpu: { source: none }\nstate_dir: ${children.folder}/state\n${rest}`);
  const main = join(ROOT, 'dist/src/cli/main.js');
  const args = (port: number) => ['serve', '--config', file, '--policy', policy, '--bind', `127.0.0.1:${port}`];
  return children.start(process.execPath, (port) => [main, ...args(port)], '/readyz');
}
