/** whisper-server and llama-server as child processes of a test: started, killed, started again on the same port. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { speak } from '../../src/demo/media/tones.js';
import { writeWav } from '../../src/demo/media/wav.js';
import { freePort } from '../support/free-port.js';
import { ask, eventually } from '../system/programs.js';

export const VARIABLES = {
  WHISPER_SERVER: "whisper.cpp's server, the program",
  WHISPER_MODEL: 'a model for it',
  LLAMA_SERVER: "llama.cpp's server, the program",
  LLAMA_MODEL: 'a model for it whose short answers end by themselves',
  LLAMA_ENDLESS_MODEL: 'one that would go on for ever, or the same one if its answers are long',
} as const;
export type Variable = keyof typeof VARIABLES;

export function variable(name: Variable): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: ${VARIABLES[name]}`);
  return value;
}

/** Loading a small model takes a second or two; a busy machine takes longer. */
const READY_WITHIN_MS = 60_000;

export interface RealProgram {
  readonly url: string;
  /** Answers its health route. */
  ready(): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** On the same port, after `kill`. */
  start(): void;
}

export async function startWhisperServer(t: TestContext, onPort?: number): Promise<RealProgram> {
  const port = onPort ?? (await freePort());
  const args = ['-m', variable('WHISPER_MODEL'), '--host', '127.0.0.1', '--port', String(port), '-t', '2'];
  return startProgram(t, variable('WHISPER_SERVER'), args, port);
}

/** One slot and one thread: two threads on two busy processors wait for each other. */
export async function startLlamaServer(
  t: TestContext,
  model: 'LLAMA_MODEL' | 'LLAMA_ENDLESS_MODEL',
): Promise<RealProgram> {
  const port = await freePort();
  const where = ['--host', '127.0.0.1', '--port', String(port)];
  const args = ['-m', variable(model), ...where, '-c', '2048', '-np', '1', '-t', '1'];
  return startProgram(t, variable('LLAMA_SERVER'), args, port);
}

async function startProgram(
  t: TestContext,
  program: string,
  args: readonly string[],
  port: number,
): Promise<RealProgram> {
  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess | null = null;
  const start = (): void => {
    child = spawn(program, args, { stdio: 'ignore' });
  };
  const kill = async (): Promise<void> => {
    const ending = child;
    if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return;
    const gone = once(ending, 'exit');
    ending.kill('SIGKILL');
    await gone;
  };
  const ready = async (): Promise<void> => {
    await eventually(`${url}/health is 200`, READY_WITHIN_MS, async () => {
      if (child !== null && child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
      return (await ask(`${url}/health`)).status === 200 ? true : undefined;
    });
  };
  t.after(kill);
  start();
  await ready();
  return { url, ready, kill, start };
}

/** Something to hear: WHISPER_AUDIO, a WAV file, or some seconds of the demo's tones. */
export async function someAudio(): Promise<Buffer> {
  const file = process.env.WHISPER_AUDIO;
  if (file !== undefined) return readFileSync(file);
  return writeWav(await speak('nobody waits without a reason', new AbortController().signal));
}

/** Fixed bytes, so that the same request can be made twice: FormData would choose another boundary each time. */
export function transcription(audio: Buffer, format: string): { body: Buffer; contentType: string } {
  const boundary = '----one-boundary-for-all';
  const head = (fields: string) => `--${boundary}\r\nContent-Disposition: form-data; ${fields}\r\n`;
  const body = Buffer.concat([
    Buffer.from(`${head('name="response_format"')}\r\n${format}\r\n`),
    Buffer.from(`${head('name="file"; filename="some.wav"')}Content-Type: audio/wav\r\n\r\n`),
    audio,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
  return { body, contentType: `multipart/form-data; boundary=${boundary}` };
}
