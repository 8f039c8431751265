/** Without a file: `mgpu serve` finds a whisper-server at its usual port, and curl gets its transcription. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '../support/free-port.js';
import { startMgpu } from '../support/mgpu-process.js';
import { ask, eventually, mustRun } from '../system/programs.js';
import { someAudio, startWhisperServer } from './real-programs.js';

const USUAL_PORT = 8178;

test('serve without a file, then a transcription by curl', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mgpu-real-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const whisper = await startWhisperServer(t, USUAL_PORT);
  const port = await freePort();
  const mgpu = startMgpu(t, ['serve', '--bind', `127.0.0.1:${port}`], { HOME: folder });
  const url = `http://127.0.0.1:${port}`;
  await eventually(`mgpu answers at ${url}`, 20_000, async () =>
    (await ask(`${url}/readyz`)).status === 200 ? true : undefined,
  );
  assert.match(mgpu.stderr(), /whisper-server: found at http:\/\/127\.0\.0\.1:8178/);

  const audio = join(folder, 'some.wav');
  writeFileSync(audio, await someAudio());
  const form = ['-sS', '--fail-with-body', '-F', `file=@${audio}`, '-F', 'response_format=json'];
  const through = await mustRun('curl', [...form, `${url}/v1/stt`]);
  const direct = await mustRun('curl', [...form, `${whisper.url}/inference`]);
  assert.equal(through, direct);
  t.diagnostic(`curl: ${through.trim().slice(0, 120)}`);
});
