/** `mgpu serve` in a process of its own, with a configuration that a test wrote, on a port of loopback. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../support/free-port.js';
import { ask, endChild, eventually, ROOT } from './programs.js';

export interface BrokerProcess {
  /** host:port */
  readonly address: string;
  readonly url: string;
}

/** `rest` is what the file says beside `bind`, `gpu` and `state_dir`. Ready when it returns; ended after the test. */
export async function startBroker(t: TestContext, rest: string): Promise<BrokerProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'mgpu-broker-'));
  const address = `127.0.0.1:${await freePort()}`;
  const file = join(folder, 'consumers.yaml');
  writeFileSync(file, `bind: ${address}\ngpu: { source: none }\nstate_dir: ${folder}/state\n${rest}`);
  const child = spawn(process.execPath, [join(ROOT, 'dist/src/cli/main.js'), 'serve', '--config', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  t.after(async () => {
    await endChild(child);
    rmSync(folder, { recursive: true, force: true });
  });
  const url = `http://${address}`;
  await eventually(`mgpu serve answers at ${url}`, 60_000, async () => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${said}`);
    return (await ask(`${url}/readyz`)).status === 200 ? true : undefined;
  });
  return { address, url };
}

/** One consumer of kind `http`, for every capability that the tests use. */
export const oneConsumer = (url: string): string => `routes: { llm: small }
consumers:
  small: { kind: http, url: "${url}", paths: { llm: /work }, drain: 10ms }
`;
