/** The formats of speech: their names, types, and how ffmpeg makes each of a WAV. Owns one ffmpeg for each call. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { BrokerError } from '../errors.js';

export const SPEECH_FORMATS = ['mp3', 'opus', 'aac', 'flac', 'wav', 'pcm'] as const;
export type SpeechFormat = (typeof SPEECH_FORMATS)[number];

export const SPEECH_TYPES: Readonly<Record<SpeechFormat, string>> = {
  mp3: 'audio/mpeg',
  opus: 'audio/ogg; codecs=opus',
  aac: 'audio/aac',
  flac: 'audio/flac',
  wav: 'audio/wav',
  pcm: 'audio/pcm;rate=24000',
};

/** OpenAI's `pcm` is 24 kHz, 16 bit, little-endian, one channel. */
const ARGUMENTS: Readonly<Record<Exclude<SpeechFormat, 'wav'>, readonly string[]>> = {
  mp3: ['-f', 'mp3'],
  opus: ['-c:a', 'libopus', '-f', 'ogg'],
  aac: ['-c:a', 'aac', '-f', 'adts'],
  flac: ['-f', 'flac'],
  pcm: ['-ar', '24000', '-ac', '1', '-f', 's16le'],
};

let known: Promise<boolean> | null = null;

/** Asked once in the life of the process. */
export function hasFfmpeg(): Promise<boolean> {
  known ??= new Promise((resolve) => {
    const probe = spawn('ffmpeg', ['-version'], { stdio: 'ignore' });
    probe.once('error', () => resolve(false));
    probe.once('exit', (code) => resolve(code === 0));
  });
  return known;
}

/** Pieces of the new format as they are made. Throws `consumer_failed` where ffmpeg makes nothing of the sound. */
export async function* transcoded(
  sound: Readable,
  format: Exclude<SpeechFormat, 'wav'>,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const quiet = ['-hide_banner', '-loglevel', 'error', '-nostdin'];
  const ffmpeg = spawn('ffmpeg', [...quiet, '-i', 'pipe:0', ...ARGUMENTS[format], '-flush_packets', '1', 'pipe:1']);
  const stop = () => ffmpeg.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  const ended = once(ffmpeg, 'close');
  ended.catch(() => {});
  let said = '';
  ffmpeg.stderr.on('data', (text: Buffer) => {
    if (said.length < 1000) said += text.toString('utf8');
  });
  // It stops reading when it has failed; its end says so.
  ffmpeg.stdin.on('error', () => {});
  sound.once('error', stop);
  sound.pipe(ffmpeg.stdin);
  try {
    for await (const piece of ffmpeg.stdout) yield Buffer.from(piece);
    const [code] = await ended;
    if (code === 0) return;
    const line = said.trim().split('\n')[0] ?? '';
    throw new BrokerError(
      'consumer_failed',
      `ffmpeg could not make ${format} of the sound: ${line || `it ended with ${code}`}`,
    );
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
    sound.destroy();
  }
}
