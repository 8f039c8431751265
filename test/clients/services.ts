/**
 * What stands behind the broker of the client programs: stand-ins in this process, some as processes that can be
 * killed, and real programs where the environment names them. Owns them until `close`.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startAutomatic1111 } from '../../src/demo/services/automatic1111.js';
import { startComfyui } from '../../src/demo/services/comfyui.js';
import { startLlamaServer } from '../../src/demo/services/llama-server.js';
import { startMvoice } from '../../src/demo/services/mvoice.js';
import { startOllama } from '../../src/demo/services/ollama.js';
import type { DemoService } from '../../src/demo/services/service.js';
import { startWhisperServer } from '../../src/demo/services/whisper-server.js';
import { PICTURE_WORKFLOW } from '../../src/demo/welcome.js';
import { startClock } from './clock-service.js';
import { type Mortal, startMortalProgram, startMortalStandIn } from './mortal.js';

/** Slow enough to be killed between two words. */
const MORTAL_SPEED = 0.4;

export interface Services {
  readonly consumers: Readonly<Record<string, object>>;
  readonly aliases: Readonly<Record<string, string>>;
  /** The stand-ins that chat. */
  readonly breakable: readonly DemoService[];
  /** By consumer. */
  readonly mortals: ReadonlyMap<string, Mortal>;
  close(): Promise<void>;
}

/** `closers` is filled as they start, so that nothing stays where one does not. */
export async function startServices(folder: string): Promise<Services> {
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const one of closers.splice(0).reverse()) await one();
  };
  try {
    return { ...(await startAll(folder, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startAll(folder: string, closers: (() => Promise<void>)[]): Promise<Omit<Services, 'close'>> {
  const llama = await startLlamaServer({ speed: 5 });
  const ollama = await startOllama({ speed: 20 });
  const whisper = await startWhisperServer({ speed: 20 });
  const mvoice = await startMvoice({ speed: 20 });
  const comfyui = await startComfyui({ speed: 50 });
  const sd = await startAutomatic1111({ speed: 50 });
  const clock = await startClock();
  for (const service of [llama, ollama, whisper, mvoice, comfyui, sd, clock]) closers.push(() => service.close());
  const workflow = join(folder, 'workflow.json');
  await writeFile(workflow, JSON.stringify(PICTURE_WORKFLOW));
  const real = await startReal(closers);
  const mortals = await startMortals(closers);
  return {
    breakable: [llama, ollama],
    mortals,
    consumers: {
      llama: { kind: 'openai', url: llama.url },
      ollama: { kind: 'ollama', url: ollama.url },
      whisper: { kind: 'whisper-server', url: whisper.url },
      comfyui: { kind: 'comfyui', url: comfyui.url, workflows: { flow: { file: workflow, size: '64x64' } } },
      sd: { kind: 'automatic1111', url: sd.url },
      clock: { kind: 'openai', url: clock.url },
      mvoice: {
        ...{ kind: 'http', url: mvoice.url, health: '/health', paths: { tts: '/v1/tts' } },
        ...{ speech: { text: 'text', audio: 'audio' }, default_voice: 'tones' },
      },
      ...real.consumers,
      ...Object.fromEntries([...mortals].map(([name, { url }]) => [name, { kind: kindOf(name), url }])),
    },
    aliases: {
      'chat-model': 'llama/small.gguf',
      'whisper-1': 'whisper',
      'tts-1': 'mvoice',
      'dall-e-3': 'comfyui/flow',
      'dall-e-2': 'sd',
      ...real.aliases,
    },
  };
}

const kindOf = (mortal: string): string => (mortal === 'mortal-ollama' ? 'ollama' : 'openai');

const { LLAMA_SERVER, LLAMA_MODEL, LLAMA_ENDLESS_MODEL, WHISPER_SERVER, WHISPER_MODEL } = process.env;

async function startReal(closers: (() => Promise<void>)[]) {
  const consumers: Record<string, object> = {};
  const aliases: Record<string, string> = {};
  const start = async (program: string, args: readonly string[]): Promise<string> => {
    const mortal = await startMortalProgram(program, (port) => [...args, '--port', String(port)]);
    closers.push(() => mortal.kill());
    return mortal.url;
  };
  if (LLAMA_SERVER !== undefined && LLAMA_MODEL !== undefined) {
    const args = ['-m', LLAMA_MODEL, '-t', '1', '--host', '127.0.0.1', '--embeddings', '--pooling', 'mean'];
    consumers['real-llama'] = { kind: 'openai', url: await start(LLAMA_SERVER, args) };
    aliases['real-chat'] = 'real-llama/any';
  }
  if (WHISPER_SERVER !== undefined && WHISPER_MODEL !== undefined) {
    const args = ['-m', WHISPER_MODEL, '--host', '127.0.0.1', '-t', '1'];
    consumers['real-whisper'] = { kind: 'whisper-server', url: await start(WHISPER_SERVER, args) };
    aliases['real-whisper-1'] = 'real-whisper';
  }
  return { consumers, aliases };
}

async function startMortals(closers: (() => Promise<void>)[]): Promise<ReadonlyMap<string, Mortal>> {
  const mortals = new Map<string, Mortal>();
  const add = (name: string, mortal: Mortal): void => {
    closers.push(() => mortal.kill());
    mortals.set(name, mortal);
  };
  add('mortal-llama', await startMortalStandIn('llama', MORTAL_SPEED));
  add('mortal-ollama', await startMortalStandIn('ollama', MORTAL_SPEED));
  if (LLAMA_SERVER !== undefined && LLAMA_ENDLESS_MODEL !== undefined) {
    const args = ['-m', LLAMA_ENDLESS_MODEL, '-t', '1', '-c', '2048', '-np', '1', '--host', '127.0.0.1'];
    add('mortal-real', await startMortalProgram(LLAMA_SERVER, (port) => [...args, '--port', String(port)]));
  }
  return mortals;
}
