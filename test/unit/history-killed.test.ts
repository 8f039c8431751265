/** History of a real daemon that is killed in the middle of its work, and what the next one knows of it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { valueAt } from '../support/json-value.js';
import { runMgpu, startMgpu } from '../support/mgpu-process.js';
import { openStandIn } from '../support/stand-in.js';

const JOBS = 60;
/** What a kill may cost. */
const LOST_MS = 1000;

async function prepare(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'mgpu-killed-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const { url: service } = await openStandIn(t, ({ req, res }) => {
    req.resume();
    setTimeout(() => res.end('done'), 20);
  });
  const file = join(folder, 'consumers.yaml');
  writeFileSync(
    file,
    `bind: 127.0.0.1:0\ngpu: { source: none }\npolicy: locked\nstate_dir: ${folder}/state\nroutes: { llm: small }\n` +
      `consumers:\n  small: { kind: http, url: "${service}", paths: { llm: /work } }\n`,
  );
  return { file, history: join(folder, 'state/history') };
}

async function serve(t: TestContext, file: string) {
  const daemon = startMgpu(t, ['serve', '--config', file]);
  await daemon.until(/Listening on http:\/\/127\.0\.0\.1:\d+/);
  await daemon.until(/access\.operators/);
  const url = /Listening on (http:\/\/[\d.:]+\d)/.exec(daemon.stdout())?.[1] ?? '';
  return { daemon, url };
}

async function runJob(url: string): Promise<{ id: string; endedAt: number }> {
  const response = await fetch(`${url}/v1/llm`, { method: 'POST', body: '{"model":"small"}' });
  await response.arrayBuffer();
  assert.equal(response.status, 200);
  return { id: response.headers.get('x-mgpu-job') ?? '', endedAt: Date.now() };
}

test('a daemon killed while it writes loses at most the last second, starts clean, and why still answers', async (t) => {
  const { file, history } = await prepare(t);
  const first = await serve(t, file);
  const ended: { id: string; endedAt: number }[] = [];
  // Two at a time, so that one waits for the other; until there is more than the second that may be lost.
  const work = async () => {
    while (ended.length < JOBS || Date.now() - (ended[0]?.endedAt ?? 0) < 2.5 * LOST_MS) {
      ended.push(await runJob(first.url));
    }
  };
  await Promise.all([work(), work()]);
  const killedAt = Date.now();
  first.daemon.child.kill('SIGKILL');
  assert.equal(await first.daemon.end, 'SIGKILL');

  const second = await serve(t, file);
  const since = `from=${killedAt - 600_000}&to=${Date.now()}&limit=20000`;
  const told: unknown = await (await fetch(`${second.url}/v1/history?${since}`)).json();
  const records = valueAt(told, 'records');
  assert.ok(Array.isArray(records));
  const kept = new Set(
    records.filter((each) => valueAt(each, 'event') === 'job').map((each) => valueAt(each, 'job', 'id')),
  );
  const due = ended.filter(({ endedAt }) => endedAt <= killedAt - LOST_MS);
  assert.ok(due.length > 10, `${due.length} of ${ended.length} jobs ended early enough to count`);
  assert.deepEqual(
    due.filter(({ id }) => !kept.has(id)),
    [],
  );
  for (const name of readdirSync(history)) {
    for (const line of readFileSync(join(history, name), 'utf8').split('\n').filter(Boolean)) JSON.parse(line);
  }

  const job = due.at(-1)?.id ?? '';
  const why = await runMgpu(t, ['why', job, '--url', second.url]);
  assert.equal(why.code, 0, why.stderr);
  assert.ok(why.stdout.includes(job));
  assert.match(why.stdout, /small/);
  assert.match(why.stdout, /done/);
});
