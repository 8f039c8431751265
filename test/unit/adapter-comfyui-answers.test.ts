/** What ComfyUI's answers can look like on a bad day, word for word: its own stand-in has no such days. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { cancelPrompt } from '../../src/adapters/comfyui/cancelling.js';
import { comfyui } from '../../src/adapters/comfyui/comfyui.js';
import { followPrompt } from '../../src/adapters/comfyui/following.js';
import { untilNamelessIsOver } from '../../src/adapters/comfyui/nameless.js';
import type { ConsumerConfiguration } from '../../src/config/configuration.js';
import { sampleConsumer } from '../support/sample-configuration.js';
import { openStandIn } from '../support/stand-in.js';

const never = new AbortController().signal;
const empty = '{"queue_running": [], "queue_pending": []}';
const running = (id: string, graph = '{}') =>
  `{"queue_running": [[4, "${id}", ${graph}, {"client_id": "c1"}, ["2"]]], "queue_pending": []}`;
const entry = (status: string, graph = '{}') =>
  `{"x": {"prompt": [4, "x", ${graph}], "outputs": {}, "status": ${status}}}`;
const good = '{"status_str": "success", "completed": true, "messages": [["execution_start", {}]]}';

interface Script {
  /** The answers one after another; the last one stays. */
  readonly history?: readonly string[];
  readonly queue?: readonly string[];
}

/** Answers by the script; `asked` are the method and path of all that came. */
async function scripted(
  t: TestContext,
  { history = ['{}'], queue = [empty] }: Script,
): Promise<{ consumer: ConsumerConfiguration; asked: string[]; thirdLookAtQueue: Promise<void> }> {
  const asked: string[] = [];
  const turns = { history: 0, queue: 0 };
  let thirdLook = () => {};
  const thirdLookAtQueue = new Promise<void>((resolve) => {
    thirdLook = resolve;
  });
  const service = await openStandIn(t, ({ req, res }) => {
    const line = `${req.method} ${req.url}`;
    asked.push(line);
    if (line.startsWith('GET /history/')) res.end(history[Math.min(turns.history++, history.length - 1)]);
    else if (line === 'GET /queue') {
      res.end(queue[Math.min(turns.queue++, queue.length - 1)]);
      if (turns.queue === 3) thirdLook();
    } else res.end();
  });
  return { consumer: sampleConsumer('comfyui', { kind: 'comfyui', url: service.url }), asked, thirdLookAtQueue };
}

describe('what ComfyUI answers', () => {
  test('it is asked to unload between prompts only: with one in its queue it is not asked, and that is told', async (t) => {
    const asked: string[] = [];
    let left = 1;
    const service = await openStandIn(t, ({ req, res }) => {
      asked.push(`${req.method} ${req.url}`);
      res.end(req.url === '/prompt' ? `{"exec_info": {"queue_remaining": ${left}}}` : '');
    });
    const consumer = sampleConsumer('comfyui', { kind: 'comfyui', url: service.url });
    await assert.rejects(async () => comfyui.unload?.(null, consumer, 5_000), /1 prompts in its queue/);
    assert.deepEqual(asked, ['GET /prompt']);
    left = 0;
    await comfyui.unload?.(null, consumer, 5_000);
    assert.deepEqual(asked.slice(1), ['GET /prompt', 'POST /free']);
  });

  test('status_str says success for a graph that failed before its first node: the messages decide', async (t) => {
    const status = '{"status_str": "success", "messages": [["execution_error", {"exception_type": "ValueError"}]]}';
    const { consumer } = await scripted(t, { history: [entry(status)] });
    const verdict = await followPrompt('x', consumer, never);
    assert.deepEqual(verdict, { end: 'failed', message: 'ValueError in a node: no words', outOfMemory: false });
  });

  test('an interrupted prompt failed by its message, and a failed one by its word where no message says so', async (t) => {
    const interrupted = '{"status_str": "success", "messages": [["execution_interrupted", {"node_id": "5"}]]}';
    for (const status of [interrupted, '{"status_str": "error", "messages": []}']) {
      const { consumer } = await scripted(t, { history: [entry(status)] });
      assert.equal((await followPrompt('x', consumer, never)).end, 'failed', status);
    }
  });

  test('an entry of an older version, without a status, is an end all the same', async (t) => {
    const { consumer } = await scripted(t, { history: ['{"x": {"outputs": {}}}'] });
    assert.deepEqual(await followPrompt('x', consumer, never), { end: 'done' });
  });

  test('words inside a graph are no status', async (t) => {
    const graph = '{"1": {"inputs": {"text": "execution_error", "status": {"status_str": "error"}}}}';
    const { consumer } = await scripted(t, { history: [entry(good, graph)] });
    assert.deepEqual(await followPrompt('x', consumer, never), { end: 'done' });
  });

  test('a prompt that ends between the look at the history and the look at the queue is not lost', async (t) => {
    const looked = { queue: false };
    const service = await openStandIn(t, ({ req, res }) => {
      if (req.url === '/queue') {
        looked.queue = true;
        res.end(empty);
      } else res.end(looked.queue ? entry(good) : '{}');
    });
    const consumer = sampleConsumer('comfyui', { kind: 'comfyui', url: service.url });
    assert.deepEqual(await followPrompt('x', consumer, never), { end: 'done' });
  });

  test('an answer that cannot be read now and then is no end', async (t) => {
    const { consumer } = await scripted(t, { history: ['<html>busy</html>', '{"x": {"pro', '{}', entry(good)] });
    assert.deepEqual(await followPrompt('x', consumer, never), { end: 'done' });
  });

  test('an answer that is no queue loses no prompt', async (t) => {
    const { consumer, thirdLookAtQueue } = await scripted(t, { queue: ['{"error": "starting"}', '{}'] });
    const controller = new AbortController();
    const verdict = followPrompt('x', consumer, controller.signal);
    assert.equal(await Promise.race([verdict, thirdLookAtQueue]), undefined);
    controller.abort();
    await verdict;
  });

  test('graphs with pictures in them, in the queue and the history, hide nothing', async (t) => {
    const picture = `{"1": {"inputs": {"image": "${'iVBOR\\/w0'.repeat(256 * 1024)}"}}}`;
    const { consumer, asked } = await scripted(t, {
      history: [entry(good, picture)],
      queue: [running('x', picture), empty],
    });
    await cancelPrompt('x', consumer);
    assert.ok(asked.includes('POST /interrupt'));
    assert.deepEqual(await followPrompt('x', consumer, never), { end: 'done' });
  });

  test('an interrupt is asked for again until it takes effect', async (t) => {
    const { consumer, asked } = await scripted(t, { queue: [running('x'), running('x'), running('x'), empty] });
    await cancelPrompt('x', consumer);
    assert.equal(asked.filter((line) => line === 'POST /interrupt').length, 3);
  });

  test('without a name, what comes into the queue later is not waited for', async (t) => {
    const { consumer } = await scripted(t, { queue: [running('ours'), running('ours'), running('a stranger')] });
    await untilNamelessIsOver(consumer);
  });
});
