/** What `/metrics` says, read by Prometheus' own checker, after jobs that ended in different ways. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStandIn } from '../support/stand-in.js';
import { oneConsumer, startBroker } from './broker-process.js';
import { ask, runProgram } from './programs.js';

test('promtool finds nothing wrong with the metrics', async (t) => {
  const standIn = await openStandIn(t, ({ req, res }) => {
    if (req.headers['x-fail'] === undefined) res.end('done');
    else req.socket.destroy();
  });
  const broker = await startBroker(t, oneConsumer(standIn.url));
  assert.equal((await ask(`${broker.url}/v1/llm`, { method: 'POST', body: '{}' })).status, 200);
  const failed = await ask(`${broker.url}/v1/llm`, { method: 'POST', body: '{}', headers: { 'x-fail': 'yes' } });
  assert.equal(failed.status, 502);

  const { text } = await ask(`${broker.url}/metrics`);
  assert.match(text, /^mgpu_jobs_total\{.*end="done".*\} 1$/m);
  assert.match(text, /^mgpu_jobs_total\{.*end="failed".*\} 1$/m);
  const outcome = await runProgram('promtool', ['check', 'metrics'], { input: text });
  assert.equal(`${outcome.stdout}${outcome.stderr}`.trim(), '');
  assert.equal(outcome.status, 0);
});
