/**
 * Text as audible tones, and back: the demo's "speech". Each byte of the text's UTF-8 is two notes of a sixteen-note
 * pentatonic scale, so that a sentence sounds like a tune. A message is
 *
 *     silence | start tone | two notes a byte ... | two notes of checksum | end tone | silence
 *
 * Reading uses nothing but the samples: the start tone is searched for anywhere in the sound, at any sample rate.
 * Owns nothing.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Sound } from './wav.js';

export const SAMPLE_RATE_HZ = 16_000;
const NOTE_S = 0.06;
const MARK_S = 0.14;
const SILENCE_S = 0.08;
/** Attack and release of a note: without them each change of pitch would click. */
const FADE_S = 0.006;
const LOUDNESS = 0.45;

/** A minor pentatonic in semitones; three octaves and a note from A4 (440 Hz) to A7. */
const SCALE = [0, 3, 5, 7, 10];
const NOTES_HZ = Array.from(
  { length: 16 },
  (_, note) => 440 * 2 ** ((12 * Math.floor(note / 5) + (SCALE[note % 5] ?? 0)) / 12),
);
/** Below and above the scale, and no octaves of one another. */
const START_HZ = 330;
const END_HZ = 4_100;
const ALPHABET_HZ = [...NOTES_HZ, END_HZ];
const END_SYMBOL = 16;

/** Share of a window's energy that must lie in one tone. */
const CLEAR_SHARE = 0.6;
const SILENT_AMPLITUDE = 0.003;

function checksum(bytes: Uint8Array): number {
  // Each byte's place counts, so that swapped bytes are noticed; the start value makes an empty message no zero.
  return bytes.reduce((sum, byte, index) => (sum * 31 + byte + index) & 0xff, 0x5a);
}

function addTone(samples: Float32Array, startS: number, lengthS: number, hz: number): void {
  const first = Math.round(startS * SAMPLE_RATE_HZ);
  const count = Math.round(lengthS * SAMPLE_RATE_HZ);
  const fade = FADE_S * SAMPLE_RATE_HZ;
  for (let index = 0; index < count; index += 1) {
    const envelope = Math.min(1, index / fade, (count - index) / fade);
    samples[first + index] = LOUDNESS * envelope * Math.sin((2 * Math.PI * hz * index) / SAMPLE_RATE_HZ);
  }
}

/** How long the sound of a text of so many UTF-8 bytes is. */
export function spokenLengthS(textBytes: number): number {
  return 2 * SILENCE_S + 2 * MARK_S + (textBytes + 1) * 2 * NOTE_S;
}

/** Sings a text. The work is done in slices, so that a long text does not hold up everybody else. */
export async function speak(text: string, signal: AbortSignal): Promise<Sound> {
  const bytes = Buffer.from(text, 'utf8');
  const samples = new Float32Array(Math.ceil(spokenLengthS(bytes.length) * SAMPLE_RATE_HZ));
  let atS = SILENCE_S;
  addTone(samples, atS, MARK_S, START_HZ);
  atS += MARK_S;
  for (const byte of [...bytes, checksum(bytes)]) {
    for (const note of [byte >> 4, byte & 0x0f]) {
      addTone(samples, atS, NOTE_S, NOTES_HZ[note] ?? START_HZ);
      atS += NOTE_S;
    }
    if (Math.round(atS / NOTE_S) % 64 === 0) {
      await nextTurn();
      signal.throwIfAborted();
    }
  }
  addTone(samples, atS, MARK_S, END_HZ);
  return { sampleRateHz: SAMPLE_RATE_HZ, samples };
}

/** Share of the window's energy at one frequency, 0 to about 1 (Goertzel's algorithm). */
function share(sound: Sound, fromS: number, lengthS: number, hz: number): number {
  const first = Math.max(0, Math.round(fromS * sound.sampleRateHz));
  const last = Math.min(sound.samples.length, first + Math.round(lengthS * sound.sampleRateHz));
  const coefficient = 2 * Math.cos((2 * Math.PI * hz) / sound.sampleRateHz);
  let before = 0;
  let beforeThat = 0;
  let energy = 0;
  for (let index = first; index < last; index += 1) {
    const sample = sound.samples[index] ?? 0;
    const value = sample + coefficient * before - beforeThat;
    beforeThat = before;
    before = value;
    energy += sample * sample;
  }
  const count = last - first;
  if (count <= 0 || energy / count < SILENT_AMPLITUDE ** 2) return 0;
  const power = before * before + beforeThat * beforeThat - coefficient * before * beforeThat;
  return (2 * power) / (count * energy);
}

/** The symbol that sounds in the window, or null if none stands out. */
function symbolAt(sound: Sound, fromS: number): number | null {
  let best = 0;
  let bestSymbol: number | null = null;
  ALPHABET_HZ.forEach((hz, symbol) => {
    // The edges are left out: neighbours reach into them when the start was found a few milliseconds off.
    const clear = share(sound, fromS + 0.15 * NOTE_S, 0.7 * NOTE_S, hz);
    if (clear > best) {
      best = clear;
      bestSymbol = symbol;
    }
  });
  return best >= CLEAR_SHARE ? bestSymbol : null;
}

/** When the start tone that was met at `fromS` stops: where it is loud before and silent after. */
function endOfStartTone(sound: Sound, fromS: number): number {
  const WINDOW_S = 0.03;
  let bestS = fromS;
  let best = Number.NEGATIVE_INFINITY;
  for (let atS = fromS + WINDOW_S; atS < fromS + MARK_S + 2 * WINDOW_S; atS += 0.002) {
    const step = share(sound, atS - WINDOW_S, WINDOW_S, START_HZ) - share(sound, atS, WINDOW_S, START_HZ);
    if (step > best) {
      best = step;
      bestS = atS;
    }
  }
  return bestS;
}

interface Message {
  readonly text: string;
  readonly startS: number;
  readonly endS: number;
}

function textOf(symbols: readonly number[]): string | null {
  const bytes = Buffer.alloc(Math.floor(symbols.length / 2));
  for (let index = 0; index < bytes.length; index += 1) {
    bytes[index] = ((symbols[2 * index] ?? 0) << 4) | (symbols[2 * index + 1] ?? 0);
  }
  const content = bytes.subarray(0, -1);
  if (symbols.length % 2 !== 0 || bytes.length === 0 || bytes.at(-1) !== checksum(content)) return null;
  // With a right checksum the bytes are what was spoken, so they are UTF-8.
  return content.toString('utf8');
}

/** Reads the notes that follow a start tone up to the end tone; null when they are no message. */
function readMessage(sound: Sound, startS: number): Message | null {
  const notesFromS = endOfStartTone(sound, startS);
  const symbols: number[] = [];
  for (let atS = notesFromS; ; atS += NOTE_S) {
    const symbol = symbolAt(sound, atS);
    if (symbol === null) return null;
    if (symbol === END_SYMBOL) {
      const text = textOf(symbols);
      return text === null ? null : { text, startS, endS: atS + MARK_S };
    }
    symbols.push(symbol);
  }
}

export interface Heard {
  readonly messages: readonly Message[];
  /** Nothing but silence. */
  readonly silent: boolean;
}

const SEARCH_STEP_S = 0.02;
const SEARCH_WINDOW_S = 0.06;

/** Listens to a sound from its start to its end. Rejects with the signal's reason on an abort. */
export async function listen(sound: Sound, signal: AbortSignal): Promise<Heard> {
  const lengthS = sound.samples.length / sound.sampleRateHz;
  const messages: Message[] = [];
  let atS = 0;
  for (let step = 0; atS + SEARCH_WINDOW_S <= lengthS; step += 1) {
    if (step % 100 === 0) {
      await nextTurn();
      signal.throwIfAborted();
    }
    const message = share(sound, atS, SEARCH_WINDOW_S, START_HZ) > CLEAR_SHARE ? readMessage(sound, atS) : null;
    if (message !== null) messages.push(message);
    atS = message === null ? atS + SEARCH_STEP_S : message.endS;
  }
  return { messages, silent: !sound.samples.some((sample) => Math.abs(sample) > SILENT_AMPLITUDE) };
}
