import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { askService } from '../../src/adapters/asking.js';
import { comfyui } from '../../src/adapters/comfyui/comfyui.js';
import { cancelPrompt, followPrompt } from '../../src/adapters/comfyui/prompt-work.js';
import { startComfyui } from '../../src/demo/services/comfyui.js';
import { PICTURE_REQUEST } from '../../src/demo/welcome.js';
import { sampleConsumer } from '../support/sample-configuration.js';

const prompt = { method: 'POST', path: '/prompt', query: '' };
const never = new AbortController().signal;

async function withComfyui(
  speed: number,
  body: (
    service: Awaited<ReturnType<typeof startComfyui>>,
    consumer: ReturnType<typeof sampleConsumer>,
  ) => Promise<void>,
): Promise<void> {
  const service = await startComfyui({ speed });
  try {
    await body(service, sampleConsumer('comfyui', { kind: 'comfyui', url: service.url }));
  } finally {
    await service.close();
  }
}

async function queue(consumer: ReturnType<typeof sampleConsumer>, seed: number): Promise<string> {
  const graph = JSON.parse(JSON.stringify(PICTURE_REQUEST).replace(/"seed":\s*\d+/, `"seed":${seed}`)) as object;
  const answer = await askService(consumer, { method: 'POST', path: '/prompt', json: graph, timeoutMs: 5000 });
  const { prompt_id } = JSON.parse(answer.body.toString()) as { prompt_id: string };
  return prompt_id;
}

describe('comfyui', { timeout: 60_000 }, () => {
  test('the prompt id is found in the answer, in pieces and compressed', () => {
    const text = '{"prompt_id": "0d1e-x", "number": 1, "node_errors": {}}';
    for (const [headers, bytes] of [
      [{}, Buffer.from(text)],
      [{ 'content-encoding': 'gzip' }, gzipSync(text)],
    ] as const) {
      const watch = comfyui.watch(prompt, { status: 200, headers });
      for (const byte of bytes) watch?.piece(Buffer.from([byte]));
      assert.equal(watch?.workId(), '0d1e-x');
    }
    const refused = comfyui.watch(prompt, { status: 400, headers: {} });
    refused?.piece(Buffer.from(text));
    assert.equal(refused?.workId(), null);
  });

  test('the work ends by the history entry, not by the answer', () =>
    withComfyui(20, async (service, consumer) => {
      const id = await queue(consumer, 1);
      assert.deepEqual(await followPrompt(id, consumer, never), { end: 'done' });
      assert.ok(service.work.every((span) => span.endedAtMs !== null));
    }));

  test('a failed prompt is a failure, with the words of its node', () =>
    withComfyui(20, async (service, consumer) => {
      service.fault = 'job-fails';
      const verdict = await followPrompt(await queue(consumer, 2), consumer, never);
      assert.equal(verdict.end, 'failed');
    }));

  test('a prompt that a restart lost is noticed', () =>
    withComfyui(1, async (service, consumer) => {
      const id = await queue(consumer, 3);
      const verdict = followPrompt(id, consumer, never);
      await service.until(() => service.work.length > 0);
      service.loseEverything();
      assert.equal((await verdict).end, 'lost');
    }));

  test('a process that is gone took its prompts along', () =>
    withComfyui(1, async (service, consumer) => {
      const verdict = followPrompt(await queue(consumer, 4), consumer, never);
      await service.until(() => service.work.length > 0);
      await service.close();
      assert.equal((await verdict).end, 'lost');
    }));

  test('a cancelled prompt leaves the queue, running or pending, and nobody else is interrupted', () =>
    withComfyui(2, async (service, consumer) => {
      const [running, pending] = [await queue(consumer, 5), await queue(consumer, 6)];
      const other = followPrompt(pending, consumer, never);
      await service.until(() => service.work.length > 0);
      await cancelPrompt(running, consumer);
      assert.deepEqual(await other, { end: 'done' });
      const interrupts = service.seen.filter((seen) => seen.path === '/interrupt').length;
      await cancelPrompt(pending, consumer);
      assert.equal(service.seen.filter((seen) => seen.path === '/interrupt').length, interrupts);
    }));

  test('status_str says success for a graph that failed before its first node: the messages decide', async () => {
    const entry = {
      status: { status_str: 'success', messages: [['execution_error', { exception_type: 'ValueError' }]] },
    };
    const server = createServer((_req, res) => res.end(JSON.stringify({ x: entry }))).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const consumer = sampleConsumer('comfyui', { url: `http://127.0.0.1:${port}` });
    assert.equal((await followPrompt('x', consumer, never)).end, 'failed');
    server.close();
  });
});
