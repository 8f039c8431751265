/** The pretend card and its `nvidia-smi`: what services hold is what the tool shows; more than all is refused. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { CardFull, openCard } from '../../src/demo/card.js';
import { createCard, readTenants } from '../../src/demo/card-files.js';
import { answerSmi } from '../../src/demo/nvidia-smi-answers.js';
import { startComfyui } from '../../src/demo/services/comfyui.js';
import { startMvoice } from '../../src/demo/services/mvoice.js';
import { startOllama } from '../../src/demo/services/ollama.js';
import { startWhisperServer } from '../../src/demo/services/whisper-server.js';
import { installNvidiaSmi } from '../../src/demo/smi-script.js';
import { PICTURE_REQUEST } from '../../src/demo/welcome.js';
import { textAt, valueAt } from '../support/json-value.js';

const root = mkdtempSync(join(tmpdir(), "demo card's test "));
after(() => rmSync(root, { recursive: true }));

const SPEC = { index: 0, uuid: 'GPU-1234', name: 'Pretend 24GB', totalMib: 24_564, reservedMib: 380 };
let folder = '';
let folders = 0;
beforeEach(() => {
  folders += 1;
  folder = join(root, `card ${folders}`);
  createCard(folder, SPEC);
});

const QUERY =
  '--query-gpu=index,uuid,name,memory.total,memory.used,memory.free,memory.reserved,utilization.gpu,temperature.gpu,power.draw';
const CSV = '--format=csv,noheader,nounits';
const APPS = '--query-compute-apps=gpu_uuid,pid,used_memory,process_name';
const heldMib = (): number => readTenants(folder).reduce((sum, tenant) => sum + tenant.mib, 0);
const post = (url: string, body: unknown): Promise<Response> =>
  fetch(url, { method: 'POST', body: JSON.stringify(body) });

/** Runs the script as a probe would: by its name, found in PATH. */
function runSmi(...args: string[]): Promise<{ stdout: string; code: number }> {
  const bin = join(folder, 'bin');
  installNvidiaSmi(bin, folder);
  return new Promise((resolve) => {
    execFile('nvidia-smi', args, { env: { PATH: `${bin}:/usr/bin:/bin` } }, (error, stdout) => {
      resolve({ stdout, code: typeof error?.code === 'number' ? error.code : 0 });
    });
  });
}

test('used, free and reserved add up to the total, idle and with work', async () => {
  assert.deepEqual(await runSmi(QUERY, CSV), {
    stdout: '0, GPU-1234, Pretend 24GB, 24564, 0, 24184, 380, 0, 43, 74.99\n',
    code: 0,
  });
  const card = openCard(folder, 'python3');
  await card.hold('weights', 4_000);
  await card.hold('context', 610);
  card.setBusy(true);
  assert.equal(
    answerSmi([QUERY, CSV], folder).output,
    '0, GPU-1234, Pretend 24GB, 24564, 4610, 19574, 380, 96, 61, 287.40\n',
  );
  assert.equal((await runSmi(APPS, CSV)).stdout, `GPU-1234, ${process.pid}, 4610, python3\n`);
  await card.close();
  assert.equal(answerSmi([APPS, CSV], folder).output, '', 'nobody there: no line at all');
});

test('fields in any order, with header and units, options with a blank instead of =', () => {
  const answer = answerSmi(['--query-gpu', 'power.draw, memory.total,index', '--format', 'csv'], folder);
  assert.equal(answer.output, 'power.draw [W], memory.total [MiB], index\n74.99 W, 24564 MiB, 0\n');
});

test('wrong questions get the real words on standard output, and the real exit codes', async () => {
  assert.deepEqual(await runSmi('--query-gpu=index,nonsense', CSV), {
    stdout: 'Field "nonsense" is not a valid field to query.\n\n',
    code: 2,
  });
  assert.deepEqual(await runSmi('-i', '7', QUERY, CSV), { stdout: 'No devices were found\n', code: 6 });
});

test('a loop goes on until a signal ends it', async () => {
  installNvidiaSmi(join(folder, 'bin'), folder);
  const child = spawn(join(folder, 'bin', 'nvidia-smi'), ['--query-gpu=memory.used', CSV, '-lms', '20']);
  let text = '';
  while (text.split('\n').length < 4) text += String((await once(child.stdout, 'data'))[0]);
  child.kill();
  const [, signal] = await once(child, 'exit');
  assert.equal(signal, 'SIGTERM');
  assert.match(text, /^(0\n)+/);
});

test('what is more than the card has is refused and changes nothing', async () => {
  const [first, second] = [openCard(folder, 'first'), openCard(folder, 'second')];
  await first.hold('a', 20_000);
  await assert.rejects(second.hold('b', 5_000), (error) => {
    assert.ok(error instanceof CardFull);
    assert.deepEqual([error.askedMib, error.freeMib], [5_000, 4_184]);
    return true;
  });
  assert.equal(heldMib(), 20_000);
  await second.hold('b', 4_184);
  await first.drop('a');
  await second.hold('b', 24_184);
  await Promise.all([first.close(), second.close()]);
});

test('two that ask at once do not both get the last of it', async () => {
  const cards = Array.from({ length: 6 }, (_, number) => openCard(folder, `tenant${number}`));
  const results = await Promise.allSettled(cards.map((card) => card.hold('all', 10_000)));
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 2);
  assert.equal(heldMib(), 20_000);
});

test('memory of a process that is gone is free again', async () => {
  const gone = spawn(process.execPath, ['-e', '']);
  await once(gone, 'exit');
  writeFileSync(
    join(folder, `${gone.pid}-gone.tenant.json`),
    JSON.stringify({ pid: gone.pid, name: 'gone', mib: 9_000, busy: true }),
  );
  assert.deepEqual(readTenants(folder), []);
  const card = openCard(folder, 'x');
  assert.equal(card.memory().freeMib, 24_184);
});

test('each service holds and gives back what its real one would', async () => {
  const whisper = await startWhisperServer({ speed: 100, card: openCard(folder, 'whisper-server') });
  assert.equal(heldMib(), 2_200, 'whisper-server holds its model from the start');
  const ollama = await startOllama({ speed: 100, card: openCard(folder, 'ollama') });
  await (await post(`${ollama.url}/api/generate`, { model: 'qwen3:8b' })).text();
  assert.equal(heldMib(), 2_200 + 9_216);
  const mvoice = await startMvoice({ speed: 100, card: openCard(folder, 'mvoice') });
  await (await post(`${mvoice.url}/v1/tts`, { text: 'x' })).text();
  assert.equal(heldMib(), 2_200 + 9_216 + 4_310);
  await (await post(`${mvoice.url}/unload`, {})).text();
  assert.equal(heldMib(), 2_200 + 9_216 + 610, 'the context of mvoice stays');
  await (await post(`${ollama.url}/api/generate`, { model: 'qwen3:8b', keep_alive: 0 })).text();
  assert.equal(heldMib(), 2_200 + 9_216 + 610, 'an unload is a promise');
  await ollama.until(() => heldMib() === 2_200 + 610);
  await Promise.all([whisper.close(), ollama.close(), mvoice.close()]);
  assert.equal(heldMib(), 0);
});

test('on a full card each service fails in its own words', async () => {
  const squatter = openCard(folder, 'game');
  await squatter.hold('all', 24_000);
  await assert.rejects(startWhisperServer({ speed: 100, card: openCard(folder, 'whisper-server') }), CardFull);
  const ollama = await startOllama({ speed: 100, card: openCard(folder, 'ollama') });
  const llm = await post(`${ollama.url}/api/generate`, { model: 'qwen3:8b', prompt: 'x' });
  assert.equal(llm.status, 500);
  assert.match(textAt(await llm.json(), 'error'), /reported out-of-memory during startup/);
  const mvoice = await startMvoice({ speed: 100, card: openCard(folder, 'mvoice') });
  const tts = await post(`${mvoice.url}/v1/tts`, { text: 'x' });
  assert.equal(tts.status, 500);
  assert.match(textAt(await tts.json(), 'detail'), /^CUDA out of memory/);
  const comfyui = await startComfyui({ speed: 100, card: openCard(folder, 'comfyui') });
  const id = textAt(await (await post(`${comfyui.url}/prompt`, PICTURE_REQUEST)).json(), 'prompt_id');
  await comfyui.until(() => comfyui.work[0]?.endedAtMs != null);
  const history = await (await fetch(`${comfyui.url}/history/${id}`)).json();
  assert.equal(valueAt(history, id, 'status', 'messages', 2, 1, 'exception_type'), 'torch.OutOfMemoryError');
  await Promise.all([ollama.close(), mvoice.close(), comfyui.close(), squatter.close()]);
});
