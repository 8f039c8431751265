/** What `/metrics` says, read by Prometheus' own checker, after jobs that ended in different ways. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStandIn } from '../support/stand-in.js';
import { oneConsumer, startBroker } from './broker-process.js';
import { ask, runProgram } from './programs.js';

const PROCESS_DEFAULT = /^nodejs_active_(handles|requests|resources)_total non-counter/;

test('promtool can read the metrics and finds nothing wrong with ours', async (t) => {
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
  // 3: it can be read, but a name is against the conventions, as three of prom-client's process defaults are.
  assert.ok(outcome.status === 0 || outcome.status === 3, outcome.stderr);
  const ours = outcome.stderr.split('\n').filter((line) => line !== '' && !PROCESS_DEFAULT.test(line));
  assert.deepEqual(ours, []);
});
