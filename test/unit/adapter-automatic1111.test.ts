import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { automatic1111 } from '../../src/adapters/automatic1111/automatic1111.js';
import { startAutomatic1111 } from '../../src/demo/services/automatic1111.js';
import { sampleConsumer } from '../support/sample-configuration.js';
import { call } from '../support/wire.js';

async function open(t: TestContext, speed: number) {
  const service = await startAutomatic1111({ speed });
  t.after(() => service.close());
  const consumer = sampleConsumer('sd', { kind: 'automatic1111', url: service.url });
  const body = '{"prompt":"a boat","width":64,"height":64,"steps":20}';
  const paint = () => call(service.port, '/sdapi/v1/txt2img', { method: 'POST', body });
  return { service, consumer, paint };
}

const asked = (service: { seen: readonly { path: string }[] }, path: string) =>
  service.seen.filter((one) => one.path === `/sdapi/v1/${path}`).length;

test('unloaded while it rests, never under a job; loaded by the call that brings it back', async (t) => {
  const { service, consumer, paint } = await open(t, 1);
  const job = paint();
  await service.until(() => service.work.length === 1);
  assert.deepEqual(await automatic1111.ask?.(consumer), { loaded: null, work: 1 });
  await assert.rejects(automatic1111.unload?.(null, consumer, 2000) ?? Promise.resolve(), /is at work/);
  assert.equal(asked(service, 'unload-checkpoint'), 0);
  await automatic1111.brokenOff(null, consumer);
  await job;
  assert.deepEqual(await automatic1111.ask?.(consumer), { loaded: null, work: 0 });
  await automatic1111.unload?.(null, consumer, 2000);
  await automatic1111.load?.(null, consumer, 10_000);
  assert.deepEqual([asked(service, 'unload-checkpoint'), asked(service, 'reload-checkpoint')], [1, 1]);
  assert.equal(automatic1111.powers.loads, 'by_call');
});

test('broken off: the job that is seen is interrupted, the next one is not', { timeout: 30_000 }, async (t) => {
  const { service, consumer, paint } = await open(t, 1);
  const [first, second] = [paint(), paint()];
  await service.until(() => service.work.length === 1);
  const over = automatic1111.brokenOff(null, { ...consumer, timeouts: { ...consumer.timeouts, runMs: 3000 } });
  await first;
  const { text } = await second;
  const spans = service.work.map(({ startedAtMs, endedAtMs }) => (endedAtMs ?? 0) - startedAtMs);
  // Twenty steps of 60 ms: whole, because nobody interrupted it.
  assert.ok((spans[0] ?? 0) < (spans[1] ?? 0) && (spans[1] ?? 0) >= 1200, spans.join(' '));
  assert.equal(JSON.parse(text).images.length, 1);
  await over;
});

test('its checkpoints are its models; silence proves nothing', async (t) => {
  const { service, consumer } = await open(t, 50);
  const models = await automatic1111.listModels?.(consumer, 2000);
  assert.deepEqual(
    models?.map(({ name }) => name),
    ['demo-xl', 'demo-small'],
  );
  service.fault = 'reset-before-headers';
  assert.equal(await automatic1111.ask?.(consumer), null);
});
