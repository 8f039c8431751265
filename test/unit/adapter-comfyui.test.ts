/** How ComfyUI's prompts are followed and taken back, against the stand-in that works. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { cancelPrompt } from '../../src/adapters/comfyui/cancelling.js';
import { comfyui } from '../../src/adapters/comfyui/comfyui.js';
import { followPrompt } from '../../src/adapters/comfyui/following.js';
import type { ConsumerConfiguration } from '../../src/config/configuration.js';
import { type ComfyuiService, startComfyui } from '../../src/demo/services/comfyui.js';
import { putPrompt } from '../support/comfyui-caller.js';
import { sampleConsumer } from '../support/sample-configuration.js';

const prompt = { method: 'POST', path: '/prompt', query: '' };
const never = new AbortController().signal;
const accepted = '{"prompt_id": "0d1e-x", "number": 1, "node_errors": {}}';

async function withComfyui(
  speed: number,
  body: (service: ComfyuiService, consumer: ConsumerConfiguration) => Promise<void>,
): Promise<void> {
  const service = await startComfyui({ speed });
  try {
    await body(service, sampleConsumer('comfyui', { kind: 'comfyui', url: service.url }));
  } finally {
    await service.close();
  }
}

const isWorking = (service: ComfyuiService): boolean => service.work.some((span) => span.endedAtMs === null);
const asked = (service: ComfyuiService, path: string) =>
  service.seen.filter((seen) => seen.path === path && seen.method === 'POST').length;

describe('comfyui', () => {
  test('the prompt id is found in the answer, in pieces and compressed, and in none but an acceptance', () => {
    for (const [headers, bytes] of [
      [{}, Buffer.from(accepted)],
      [{ 'content-encoding': 'gzip' }, gzipSync(accepted)],
    ] as const) {
      const watch = comfyui.watch(prompt, { status: 200, headers });
      for (const byte of bytes) watch?.piece(Buffer.from([byte]));
      assert.equal(watch?.workId(), '0d1e-x');
    }
    const refused = comfyui.watch(prompt, { status: 400, headers: {} });
    refused?.piece(Buffer.from(accepted));
    assert.equal(refused?.workId(), null);
  });

  test('an answer that unpacks without end names nothing', () => {
    const watch = comfyui.watch(prompt, { status: 200, headers: { 'content-encoding': 'gzip' } });
    watch?.piece(gzipSync(`{"prompt_id":"0d1e-x","padding":"${'x'.repeat(4 * 1024 * 1024)}"}`));
    assert.equal(watch?.workId(), null);
  });

  test('the work ends by the history entry, not by the answer', () =>
    withComfyui(20, async (service, consumer) => {
      const id = await putPrompt(consumer, 1);
      assert.deepEqual(await followPrompt(id, consumer, never), { end: 'done' });
      assert.ok(!isWorking(service));
      // A second socket with a client's id would take the client's events away.
      assert.deepEqual(
        service.seen.filter(({ path }) => path === '/ws'),
        [],
      );
    }));

  test('an acceptance in words that cannot be read still holds the card until the work is over', () =>
    withComfyui(2, async (service, consumer) => {
      await putPrompt(consumer, 1);
      const head = { status: 200, headers: { 'content-encoding': 'br' } };
      const watch = comfyui.watch(prompt, head);
      watch?.piece(brotliCompressSync(accepted));
      assert.deepEqual(await comfyui.workAfterAnswer(prompt, head, watch, consumer, never), { end: 'done' });
      assert.deepEqual([service.work.length, isWorking(service)], [1, false]);
    }));

  test('a prompt under an id that was used before is followed to its own end', () =>
    withComfyui(8, async (service, consumer) => {
      await followPrompt(await putPrompt(consumer, 1, 'mine'), consumer, never);
      await putPrompt(consumer, 2, 'mine');
      assert.deepEqual(await followPrompt('mine', consumer, never), { end: 'done' });
      assert.deepEqual([service.work.length, isWorking(service)], [2, false]);
    }));

  test('a failed prompt is a failure, with the words of its node', () =>
    withComfyui(20, async (service, consumer) => {
      service.fault = 'out-of-memory';
      const verdict = await followPrompt(await putPrompt(consumer, 2), consumer, never);
      assert.ok(verdict.end === 'failed' && verdict.outOfMemory);
      assert.match(verdict.message, /^torch\.OutOfMemoryError in CheckpointLoaderSimple: .*ran out of memory/s);
    }));

  test('a prompt that a restart lost is noticed', () =>
    withComfyui(1, async (service, consumer) => {
      const verdict = followPrompt(await putPrompt(consumer, 3), consumer, never);
      await service.until(() => service.work.length > 0);
      service.loseEverything();
      assert.equal((await verdict).end, 'lost');
    }));

  test('a process that is gone took its prompts along', () =>
    withComfyui(1, async (service, consumer) => {
      const verdict = followPrompt(await putPrompt(consumer, 4), consumer, never);
      await service.until(() => service.work.length > 0);
      await service.close();
      assert.equal((await verdict).end, 'lost');
    }));

  test('a job that ended otherwise is no longer followed', () =>
    withComfyui(1, async (service, consumer) => {
      const controller = new AbortController();
      const verdict = followPrompt(await putPrompt(consumer, 4), consumer, controller.signal);
      await service.until(() => service.work.length > 0);
      controller.abort();
      await verdict;
      assert.ok(isWorking(service));
    }));

  test('a running prompt is interrupted, and the one behind it is not', () =>
    withComfyui(2, async (service, consumer) => {
      const running = await putPrompt(consumer, 5);
      const other = followPrompt(await putPrompt(consumer, 6), consumer, never);
      await service.until(() => service.work.length > 0);
      await cancelPrompt(running, consumer);
      assert.deepEqual(await other, { end: 'done' });
    }));

  test('a pending prompt is taken out of the queue, and the running one is not interrupted', () =>
    withComfyui(2, async (service, consumer) => {
      const running = followPrompt(await putPrompt(consumer, 5), consumer, never);
      const pending = await putPrompt(consumer, 6);
      await cancelPrompt(pending, consumer);
      assert.deepEqual(await running, { end: 'done' });
      assert.deepEqual([service.work.length, asked(service, '/interrupt')], [1, 0]);
    }));

  test('a prompt whose name nobody saw holds the card until it is over', () =>
    withComfyui(2, async (service, consumer) => {
      await putPrompt(consumer, 7);
      await comfyui.brokenOff(null, consumer);
      assert.deepEqual([service.work.length, isWorking(service)], [1, false]);
      assert.deepEqual([asked(service, '/interrupt'), asked(service, '/queue')], [0, 0]);
    }));

  test('a service that hangs holds the card no longer than timeouts.run', () =>
    withComfyui(1, async (service, consumer) => {
      const id = await putPrompt(consumer, 8);
      service.fault = 'hang-before-headers';
      const hasty = { ...consumer, timeouts: { ...consumer.timeouts, runMs: 300 } };
      const verdict = await followPrompt(id, hasty, never);
      assert.equal(verdict.end, 'lost');
      assert.match(verdict.message, /no answer for 300 ms \(timeouts\.run\)/);
      await cancelPrompt(id, hasty);
      await comfyui.brokenOff(null, hasty);
    }));
});
