/** A real whisper-server behind the daemon: its answers pass unchanged, and being busy is not being down. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listAt, textAt, valueAt } from '../support/json-value.js';
import { startBroker } from '../system/broker-process.js';
import { ask } from '../system/programs.js';
import { post } from './answers.js';
import { type RealProgram, someAudio, startWhisperServer, transcription } from './real-programs.js';

const configuration = (whisper: RealProgram, more = ''): string => `${more}routes: { stt: whisper }
consumers:
  whisper: { kind: whisper-server, url: "${whisper.url}" }
`;

test('audio in, its answer out: status, type and every byte as by a direct call', async (t) => {
  const whisper = await startWhisperServer(t);
  const { url } = await startBroker(t, configuration(whisper));
  const audio = await someAudio();
  for (const format of ['json', 'verbose_json', 'text', 'srt', 'vtt']) {
    const asked = transcription(audio, format);
    const direct = await post(`${whisper.url}/inference`, asked);
    const through = await post(`${url}/v1/stt`, asked);
    assert.equal(direct.status, 200, direct.body.toString());
    assert.equal(through.status, 200, through.body.toString());
    assert.equal(through.headers['content-type'], direct.headers['content-type'], format);
    assert.equal(through.headers.server, direct.headers.server, format);
    assert.ok(through.body.equals(direct.body), `${format}: ${through.body} is not ${direct.body}`);
    assert.match(through.headers['x-mgpu-job'] as string, /^j_/);
    t.diagnostic(`${format}: ${through.body.length} bytes, the same`);
  }
});

test('its own errors pass unchanged too', async (t) => {
  const whisper = await startWhisperServer(t);
  const { url } = await startBroker(t, configuration(whisper));
  const asked = transcription(Buffer.from('this is no audio'), 'json');
  const direct = await post(`${whisper.url}/inference`, asked);
  const through = await post(`${url}/v1/stt`, asked);
  assert.deepEqual([through.status, through.body.toString()], [direct.status, direct.body.toString()]);
  assert.equal(through.status, 400);
});

/** It has 8 threads for everything; with so many at work or waiting for their turn none is left for `/health`. */
const DIRECT_AT_ONCE = 10;

test('so busy that its health check starves, it is not called down while it works for us', async (t) => {
  const whisper = await startWhisperServer(t);
  const { url } = await startBroker(t, configuration(whisper, 'health: { interval: 500ms, timeout: 250ms }\n'));
  const asked = transcription(await someAudio(), 'verbose_json');
  let isOver = false;
  let starved = 0;
  const health: string[] = [];

  const crowd = Array.from({ length: DIRECT_AT_ONCE }, async () => {
    while (!isOver) await post(`${whisper.url}/inference`, asked);
  });
  const watching = (async () => {
    while (!isOver) {
      const answered = await fetch(`${whisper.url}/health`, { signal: AbortSignal.timeout(250) }).catch(() => null);
      if (answered === null) starved += 1;
      const status: unknown = JSON.parse((await ask(`${url}/v1/status`)).text);
      // Only while a job of ours is there: without one a probe that starves may count.
      if (listAt(status, 'jobs').length > 0) health.push(textAt(status, 'consumers', 'whisper', 'health'));
    }
  })();
  const jobs = Array.from({ length: 6 }, () => post(`${url}/v1/stt`, asked));
  const answers = await Promise.all(jobs);
  isOver = true;
  await Promise.all([...crowd, watching]);

  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  assert.ok(starved >= 2, `its health starved only ${starved} times: nothing was shown`);
  assert.deepEqual([...new Set(health)], ['up']);
  const after: unknown = JSON.parse((await ask(`${url}/v1/status`)).text);
  assert.equal(valueAt(after, 'consumers', 'whisper', 'total_requests'), 6);
  t.diagnostic(`health starved ${starved} times, looked at ${health.length} times during our jobs: always up`);
});
