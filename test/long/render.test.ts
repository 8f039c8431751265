/**
 * The very case, in real time: a render of a minute is begun from ComfyUI's own page past us, and in its first second
 * somebody asks for a language model that cannot fit beside it. Takes seventy seconds, and hardly a processor.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { chat, endOfRender, openCrowdedServices, renderPastUs } from '../support/crowded-services.js';
import { listAt, textAt } from '../support/json-value.js';

/** A third as fast as the stand-ins say: 300 ms a step, of which a sampler of theirs makes 200 at most. */
const SPEED = 0.3;
const STEPS = 190;
const MODEL = 'qwen3:32b';
const seconds = (ms: number): string => (ms / 1000).toFixed(1);

test('a render of 60 s past us completes, the request of second 1 waits and is told why', {
  timeout: 300_000,
}, async (t) => {
  const room = await openCrowdedServices(t, SPEED);
  const { comfyui, ollama, broker, card } = room;
  const id = await renderPastUs(room, STEPS);
  await comfyui.until(() => comfyui.work.length > 0);
  await pause(1000);
  const askedAt = performance.now();
  const answer = chat(room, MODEL);
  const reasons = new Map<string, string>();
  const render = (): (typeof comfyui.work)[number] | undefined => comfyui.work.find(({ label }) => label === id);
  const isOver = (): boolean => (render()?.endedAtMs ?? null) !== null;
  while (!isOver()) {
    const status: unknown = JSON.parse((await broker.call('/v1/status')).text);
    for (const job of listAt(status, 'jobs')) reasons.set(textAt(job, 'reason', 'code'), textAt(job, 'reason', 'text'));
    await comfyui.until(isOver, 250).catch(() => undefined);
  }
  const { status, text } = await answer;
  const waitedMs = performance.now() - askedAt;
  const { startedAtMs = 0, endedAtMs = 0 } = render() ?? {};
  const renderMs = (endedAtMs ?? 0) - startedAtMs;
  t.diagnostic(`the render took ${seconds(renderMs)} s and ended as ${await endOfRender(room, id)}`);
  t.diagnostic(`the request was answered ${status} after ${seconds(waitedMs)} s`);
  for (const [code, told] of reasons) t.diagnostic(`it waited: ${code}: ${told}`);
  t.diagnostic(`out of memory: ${card.refusals.length}`);
  assert.equal(await endOfRender(room, id), 'success');
  assert.ok(renderMs >= 59_000, `a render of a minute, not of ${seconds(renderMs)} s`);
  assert.equal(status, 200, text);
  assert.match(reasons.get('foreign_work') ?? '', /comfyui/, [...reasons.keys()].join(', '));
  const begunAt = ollama.seen.find(({ path }) => path === '/api/chat')?.startedAtMs ?? 0;
  assert.ok(begunAt > (endedAtMs ?? Infinity), 'it began after the render');
  assert.equal(card.refusals.length, 0);
});
