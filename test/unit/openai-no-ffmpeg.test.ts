/** In a process that finds no ffmpeg: what cannot be made is refused in words, before any work. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readWav } from '../../src/demo/media/wav.js';
import { startMvoice } from '../../src/demo/services/mvoice.js';
import { SPEECH_FORMATS } from '../../src/openai/audio-formats.js';
import { openBroker, untilAllUp } from '../support/open-broker.js';

process.env.PATH = '/nowhere';

test('a service that makes WAV only: every other format is a 400 that names it and the remedy', async (t) => {
  const mvoice = await startMvoice({ speed: 50 });
  t.after(() => mvoice.close());
  const speech = { text: 'text', audio: 'audio' };
  const broker = await openBroker(t, {
    routes: { tts: 'mvoice' },
    consumers: { mvoice: { url: mvoice.url, health: '/health', paths: { tts: '/v1/tts' }, speech } },
  });
  await untilAllUp(broker);
  const ask = (more: object) =>
    fetch(`http://127.0.0.1:${broker.port}/v1/audio/speech`, {
      method: 'POST',
      body: JSON.stringify({ model: 'mvoice', input: 'hi', voice: 'tones', ...more }),
    });
  const unmade = SPEECH_FORMATS.filter((format) => format !== 'wav');
  for (const more of [{}, ...unmade.map((response_format) => ({ response_format }))]) {
    const answer = await ask(more);
    const { error } = JSON.parse(await answer.text());
    assert.deepEqual([answer.status, error.code, error.param], [400, 'bad_request', 'response_format']);
    assert.match(
      error.message,
      /^mvoice makes WAV only, .*no ffmpeg here.*ask for response_format wav, or install ffmpeg$/,
    );
    assert.equal(answer.headers.get('x-should-retry'), 'false');
  }
  assert.equal(mvoice.work.length, 0);
  const wav = await ask({ response_format: 'wav' });
  assert.notEqual(readWav(Buffer.from(await wav.arrayBuffer())), null);
});
