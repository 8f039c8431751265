/** The services themselves on a card that is too small: models swap inside ollama, and work past us is respected. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chat, endOfRender, openCrowdedServices, paint, renderPastUs, speak } from '../support/crowded-services.js';
import { ROOM_TEST } from '../support/room.js';

const SPEED = 30;

test(
  'only what stands in the way is unloaded: models of ollama and services, by façade and prefix',
  ROOM_TEST,
  async (t) => {
    const room = await openCrowdedServices(t, SPEED);
    const leftBy = async (answer: Promise<{ status: number; text: string }>): Promise<string[]> => {
      const { status, text } = await answer;
      assert.equal(status, 200, text);
      return room.left().sort();
    };
    assert.deepEqual(await leftBy(speak(room, '/v1/tts')), []);
    assert.deepEqual(await leftBy(chat(room, 'llama3.2:3b')), []);
    assert.deepEqual(await leftBy(chat(room, 'qwen3:8b', '/consumers/ollama/api/chat')), []);
    assert.deepEqual(await leftBy(speak(room, '/consumers/second-voice/v1/tts')), [], 'all four fit');
    const least = ['mvoice', 'ollama/llama3.2:3b'];
    assert.deepEqual(await leftBy(paint(room, '/v1/image')), least, 'one model, not the whole of ollama');
    assert.deepEqual(await leftBy(chat(room, 'qwen3:8b')), [], 'it is still there');
    const rest = ['comfyui', 'ollama/qwen3:8b', 'second-voice'];
    assert.deepEqual(await leftBy(chat(room, 'qwen3:32b')), rest, 'it needs the whole card');
    assert.deepEqual(await leftBy(chat(room, 'llama3.2:3b', '/consumers/ollama/api/chat')), ['ollama/qwen3:32b']);
    assert.equal(room.card.refusals.length, 0);
  },
);

test(
  'a render begun from ComfyUI’s own page is respected: the LLM request waits with that reason, nobody is cut',
  ROOM_TEST,
  async (t) => {
    const room = await openCrowdedServices(t, 3);
    const { comfyui, broker, card } = room;
    // What is known to be there leaves at once; of what is unknown nothing tells how long that takes.
    for (const path of ['/v1/tts', '/consumers/second-voice/v1/tts'])
      assert.equal((await speak(room, path)).status, 200);
    const id = await renderPastUs(room, 80);
    await comfyui.until(() => comfyui.work.length > 0);
    const answer = chat(room, 'qwen3:32b');
    const seen = new Set<string>();
    const isOver = (): boolean => (comfyui.work[0]?.endedAtMs ?? null) !== null;
    while (!isOver()) {
      for (const job of (await broker.status()).jobs) seen.add(job.reason?.code ?? job.state);
      await comfyui.until(isOver, 50).catch(() => undefined);
    }
    const { status, text } = await answer;
    assert.ok(seen.has('foreign_work'), `it waited with the reason foreign_work: ${[...seen].join(', ')}; ${text}`);
    assert.equal(status, 200, text);
    assert.equal(await endOfRender(room, id), 'success');
    const begun = room.ollama.seen.find(({ path }) => path === '/api/chat')?.startedAtMs ?? 0;
    assert.ok(begun > (comfyui.work[0]?.endedAtMs ?? Infinity), 'it began after the render');
    assert.equal(card.refusals.length, 0);
  },
);
