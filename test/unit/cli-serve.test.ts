/** `mgpu serve` as a real process, in front of a demo service or one that the test answers for. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startMvoice } from '../../src/demo/services/mvoice.js';
import { fakeManager } from '../support/fake-manager.js';
import { type MgpuProcess, runMgpu, startMgpu } from '../support/mgpu-process.js';
import { openStandIn } from '../support/stand-in.js';

async function fileWith(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mgpu-serve-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'consumers.yaml');
  await writeFile(file, text);
  return file;
}

const configFor = (url: string, more = ''): string =>
  `bind: 127.0.0.1:0\ngpu: { source: none }\nroutes: { tts: mvoice }\n${more}consumers:\n` +
  `  mvoice: { kind: http, url: "${url}", health: /health, paths: { tts: /v1/tts } }\n`;

const logLines = (serve: MgpuProcess): { level: string; msg: string }[] =>
  serve
    .stdout()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

async function startServe(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const serve = startMgpu(t, ['serve', ...args], env);
  await serve.until(/Listening on http:\/\/127\.0\.0\.1:\d+/);
  // The signals are obeyed from before the line on that is written last.
  await serve.until(/access\.operators/);
  const url = /Listening on (http:\/\/[\d.:]+\d)/.exec(serve.stdout())?.[1] ?? '';
  return { serve, url };
}

/** A consumer that is up and answers a job when the test says so. */
async function openService(t: TestContext) {
  const jobs: (() => void)[] = [];
  const { url } = await openStandIn(t, ({ req, res }) => {
    if (req.url === '/health') res.end('ok');
    else jobs.push(() => res.end('spoken'));
  });
  const answerAll = (): void => {
    for (const answer of jobs.splice(0)) answer();
  };
  return { url, answerAll };
}

const speak = (url: string, text = 'hello'): Promise<Response> =>
  fetch(`${url}/v1/tts`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ text }),
  });

/** Until the daemon itself says so. */
async function untilRuns(url: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    assert.ok(performance.now() < deadline, 'no job ran within 10 s');
    const status: { scheduler: { in_flight: number } } = JSON.parse(await (await fetch(`${url}/v1/status`)).text());
    if (status.scheduler.in_flight > 0) return;
  }
}

test('it says where it listens and who can reach it, serves, and ends well with SIGTERM', async (t) => {
  const mvoice = await startMvoice({ speed: 50 });
  t.after(() => mvoice.close());
  const { serve, url } = await startServe(t, ['--config', await fileWith(t, configFor(mvoice.url))]);
  assert.match(
    serve.stdout(),
    /Only programs on this machine can reach it; with --bind 0\.0\.0\.0:\d+ .*10\.0\.0\.0\/8/,
  );
  const answer = await speak(url);
  assert.equal(answer.status, 200, await answer.clone().text());
  assert.match(await answer.text(), /"audio/);
  const status = await runMgpu(t, ['status'], { MGPU_URL: url });
  assert.match(status.stdout, /^mvoice +up .* 1 +0 /m);
  serve.child.kill('SIGTERM');
  assert.equal(await serve.end, 0, serve.stderr());
  assert.equal(logLines(serve).at(-1)?.msg, 'stopped');
  await assert.rejects(fetch(url));
});

test('the options stand in for the file: policy and address, and others are told that they can reach it', async (t) => {
  const { url: service } = await openService(t);
  const file = await fileWith(t, configFor(service).replace('127.0.0.1:0', '127.0.0.1:1'));
  const { serve, url } = await startServe(t, ['--config', file, '--policy', 'passthrough', '--bind', '0.0.0.0:0']);
  assert.match(serve.stdout(), /Others on the network can reach it: addresses in 10\.0\.0\.0\/8/);
  const { policy } = JSON.parse(await (await fetch(`${url}/v1/status`)).text());
  assert.equal(policy, 'passthrough');
});

test('a job that runs at SIGTERM is finished first', async (t) => {
  const service = await openService(t);
  const { serve, url } = await startServe(t, ['--config', await fileWith(t, configFor(service.url))]);
  const answer = speak(url);
  await untilRuns(url);
  serve.child.kill('SIGTERM');
  await serve.until(/Stopping: running jobs may finish within 30 s/);
  service.answerAll();
  assert.equal(await (await answer).text(), 'spoken');
  assert.equal(await serve.end, 0);
});

for (const [second, code] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const) {
  test(`a second signal (${second}) ends at once, whatever runs`, async (t) => {
    const service = await openService(t);
    const { serve, url } = await startServe(t, ['--config', await fileWith(t, configFor(service.url))]);
    const answer = speak(url);
    answer.catch(() => {});
    await untilRuns(url);
    serve.child.kill('SIGTERM');
    await serve.until(/Stopping/);
    serve.child.kill(second);
    assert.equal(await serve.end, code);
    await assert.rejects(answer);
  });
}

test('one Ctrl-C that arrives twice is one', async (t) => {
  const service = await openService(t);
  const { serve, url } = await startServe(t, ['--config', await fileWith(t, configFor(service.url))]);
  const answer = speak(url);
  await untilRuns(url);
  serve.child.kill('SIGINT');
  await serve.until(/Stopping/);
  serve.child.kill('SIGINT');
  service.answerAll();
  assert.equal((await answer).status, 200);
  assert.equal(await serve.end, 0);
});

test('whoever read its log leaves: it goes on, and ends well', async (t) => {
  const mvoice = await startMvoice({ speed: 50 });
  t.after(() => mvoice.close());
  const { serve, url } = await startServe(t, ['--config', await fileWith(t, configFor(mvoice.url))]);
  serve.child.stdout?.destroy();
  // Each has a line of the log at its end.
  for (let job = 0; job < 3; job += 1) assert.equal((await (await speak(url)).arrayBuffer()).byteLength > 0, true);
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
  serve.child.kill('SIGTERM');
  assert.equal(await serve.end, 0);
});

test('SIGHUP reads the file again, and its log level counts', async (t) => {
  const { url } = await openService(t);
  const file = await fileWith(t, configFor(url));
  const { serve } = await startServe(t, ['--config', file]);
  serve.child.kill('SIGHUP');
  await serve.until(/SIGHUP: the configuration was read again, nothing changed/);
  await writeFile(file, configFor(url, 'log: { level: debug }\n'));
  serve.child.kill('SIGHUP');
  await serve.until(/"level":"debug"/);
  await writeFile(file, 'polcy: x\n');
  serve.child.kill('SIGHUP');
  await serve.until(/SIGHUP: nothing was reloaded/);
  assert.match(serve.stdout(), /polcy: unknown key/);
});

test('a bad file: 1, every problem on a line of its own, nothing left running', async (t) => {
  const file = await fileWith(t, 'polcy: x\nconsumers: { a: { kind: olama } }\n');
  const { code, stdout, stderr } = await runMgpu(t, ['serve', '--config', file]);
  assert.equal(code, 1);
  assert.equal(stdout, '');
  const lines = stderr.trimEnd().split('\n');
  assert.ok(lines[0]?.startsWith(`${file}:1:1 polcy: unknown key`), stderr);
  assert.ok(lines[1]?.startsWith(`${file}:2:`), stderr);
  assert.equal(lines.at(-1), `${file}: refused, ${lines.length - 1} problems`);
});

test('an address in use: 1, with what to do, nothing left running', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.after(() => other.close());
  const address = other.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const file = await fileWith(t, configFor('http://127.0.0.1:1'));
  const { code, stderr } = await runMgpu(t, ['serve', '--config', file, '--bind', `127.0.0.1:${port}`]);
  assert.equal(code, 1);
  assert.match(stderr, /^cannot listen on 127\.0\.0\.1:\d+ \(EADDRINUSE\): .*choose another port[^\n]*\n$/);
});

test('a policy or an address that does not exist: 2, in the words of the file', async (t) => {
  const file = await fileWith(t, configFor('http://127.0.0.1:1'));
  const policy = await runMgpu(t, ['serve', '--config', file, '--policy', 'lokced']);
  assert.equal(policy.code, 2);
  assert.match(policy.stderr, /^--policy: .*locked/);
  const bind = await runMgpu(t, ['serve', '--config', file, '--bind', '8770']);
  assert.equal(bind.code, 2);
  assert.match(bind.stderr, /^--bind: not host:port/);
});

test('the service manager is told when it is ready, that it lives, and that it stops', async (t) => {
  const manager = await fakeManager(t);
  const { url } = await openService(t);
  const env = { ...manager.env, WATCHDOG_USEC: '100000' };
  const { serve } = await startServe(t, ['--config', await fileWith(t, configFor(url))], env);
  await manager.until((said) => said.some((call) => call.includes('WATCHDOG=1')));
  serve.child.kill('SIGTERM');
  assert.equal(await serve.end, 0);
  const said = manager.said();
  assert.match(said[0] ?? '', /^READY=1\|STATUS=listening on http:\/\/127\.0\.0\.1:\d+$/);
  assert.ok(
    said.some((call) => call.includes('STOPPING=1')),
    said.join('\n'),
  );
});

test('a state that nobody foresaw: a fatal line and 70', async (t) => {
  const { url } = await openService(t);
  const fault = `process.on('SIGUSR2', () => { throw new Error('planned'); })`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(fault)}` };
  const { serve } = await startServe(t, ['--config', await fileWith(t, configFor(url))], env);
  serve.child.kill('SIGUSR2');
  assert.equal(await serve.end, 70);
  const last = logLines(serve).at(-1);
  assert.equal(last?.level, 'fatal');
  assert.match(JSON.stringify(last), /planned/);
});
