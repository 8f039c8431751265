/** The demo's speech: text becomes audible tones in a WAV, and comes back out of the samples alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { listen, speak, spokenLengthS } from '../../src/demo/media/tones.js';
import { readWav, type Sound, writeWav } from '../../src/demo/media/wav.js';

const never = new AbortController().signal;

async function roundTrip(text: string): Promise<string[]> {
  const sound = readWav(writeWav(await speak(text, never)));
  assert.ok(sound !== null, 'a WAV that was written can be read');
  return (await listen(sound, never)).messages.map((message) => message.text);
}

/** A deterministic hiss. */
function withNoise(sound: Sound, amplitude: number): Sound {
  let state = 1;
  return {
    ...sound,
    samples: sound.samples.map((sample) => {
      state = (state * 48_271) % 2_147_483_647;
      return sample + amplitude * ((state / 2_147_483_647) * 2 - 1);
    }),
  };
}

function resampled(sound: Sound, sampleRateHz: number): Sound {
  const samples = new Float32Array(Math.floor((sound.samples.length * sampleRateHz) / sound.sampleRateHz));
  samples.forEach((_, index) => {
    const at = (index * sound.sampleRateHz) / sampleRateHz;
    const before = sound.samples[Math.floor(at)] ?? 0;
    const after = sound.samples[Math.floor(at) + 1] ?? 0;
    samples[index] = before + (after - before) * (at % 1);
  });
  return { sampleRateHz, samples };
}

function joined(...parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

for (const text of [
  'Hi',
  'a',
  'The quick brown fox jumps over the lazy dog.',
  'Grüße aus Köln: „Schön, daß es geht!“',
  '今日は、良い天気ですね。',
  'Ночь, улица, фонарь, аптека 🎵',
  'aaaaaaaaaaaaaaaa 0000000000',
  ' leading and trailing blanks \n and a line break ',
]) {
  test(`a sentence comes back as it was: ${JSON.stringify(text)}`, async () => {
    assert.deepEqual(await roundTrip(text), [text]);
  });
}

test('any text comes back as it was', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), async (text) => {
      assert.deepEqual(await roundTrip(text), [text]);
    }),
    { numRuns: 40 },
  );
});

test('a short sentence lasts over half a second, sixty characters under eight', async () => {
  const short = await speak('Hi', never);
  assert.ok(short.samples.length / short.sampleRateHz > 0.5);
  const long = await speak('x'.repeat(60), never);
  assert.ok(long.samples.length / long.sampleRateHz < 8);
  assert.equal(long.samples.length, Math.ceil(spokenLengthS(60) * long.sampleRateHz));
});

test('the speech can be heard: loud, and within what a loudspeaker plays', async () => {
  const { samples } = await speak('Is this loud enough?', never);
  const loudness = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  assert.ok(loudness > 0.1, `loudness is ${loudness}`);
  assert.ok(samples.every((sample) => Math.abs(sample) <= 1));
});

test('the WAV says 16-bit PCM, one channel, and its true length', async () => {
  const sound = await speak('header', never);
  const file = writeWav(sound);
  assert.equal(file.toString('latin1', 0, 4), 'RIFF');
  assert.equal(file.readUInt32LE(4), file.length - 8);
  assert.equal(file.toString('latin1', 8, 16), 'WAVEfmt ');
  assert.deepEqual([file.readUInt16LE(20), file.readUInt16LE(22), file.readUInt16LE(34)], [1, 1, 16]);
  assert.equal(file.readUInt32LE(24), 16_000);
  assert.equal(file.readUInt32LE(40), sound.samples.length * 2);
});

test('noise, another sample rate and silence around it do no harm', async () => {
  const text = 'Heard in a noisy room.';
  const sound = await speak(text, never);
  const silence = new Float32Array(12_345);
  for (const changed of [
    withNoise(sound, 0.08),
    resampled(sound, 44_100),
    resampled(sound, 11_025),
    { ...sound, samples: joined(silence, sound.samples, silence) },
    { ...sound, samples: sound.samples.map((sample) => sample * 0.1) },
  ]) {
    assert.deepEqual(
      (await listen(changed, never)).messages.map((message) => message.text),
      [text],
    );
  }
});

test('two sentences in one sound are two messages, each with its time', async () => {
  const [first, second] = [await speak('one', never), await speak('two', never)];
  const heard = await listen({ ...first, samples: joined(first.samples, second.samples) }, never);
  assert.deepEqual(
    heard.messages.map((message) => message.text),
    ['one', 'two'],
  );
  const [one, two] = heard.messages;
  assert.ok(one !== undefined && two !== undefined && one.endS <= two.startS);
});

test('what is no speech is not understood: silence, noise, a cut or a damaged message', async () => {
  const sound = await speak('This will be damaged.', never);
  const silence = { ...sound, samples: new Float32Array(16_000) };
  assert.deepEqual(await listen(silence, never), { messages: [], silent: true });
  assert.deepEqual(await listen(withNoise(silence, 0.5), never), { messages: [], silent: false });
  const cut = { ...sound, samples: sound.samples.slice(0, sound.samples.length / 2) };
  assert.deepEqual((await listen(cut, never)).messages, []);
  // One note of the middle replaced by its neighbour: the checksum no longer fits.
  const note = Math.round(0.06 * 16_000);
  const at = Math.round((0.08 + 0.14) * 16_000) + 4 * note;
  const damaged = { ...sound, samples: sound.samples.slice() };
  damaged.samples.copyWithin(at, at + note, at + 2 * note);
  assert.deepEqual((await listen(damaged, never)).messages, []);
});

test('only WAV files with samples are read', () => {
  assert.equal(readWav(Buffer.alloc(0)), null);
  assert.equal(readWav(Buffer.from('RIFF')), null);
  assert.equal(readWav(Buffer.from('ID3 this is an mp3 file, or says so')), null);
  assert.equal(readWav(writeWav({ sampleRateHz: 16_000, samples: new Float32Array(0) })), null);
});
