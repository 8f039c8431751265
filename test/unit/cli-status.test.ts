/** `mgpu status`: what a person reads, in 80 columns, from a real control plane. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JsonView } from '../../src/cli/json-view.js';
import { statusLines } from '../../src/cli/status-view.js';
import { consumerId, jobId } from '../../src/core/vocabulary.js';
import { type MgpuResult, runMgpu, startMgpu } from '../support/mgpu-process.js';
import { openControl } from '../support/open-control.js';
import { sampleConfiguration, sampleConsumer } from '../support/sample-configuration.js';
import { type Call, openStandIn } from '../support/stand-in.js';
import { sampleConsumerSnapshot, sampleJob } from '../support/still-broker.js';

const urlOf = (port: number): NodeJS.ProcessEnv => ({ MGPU_URL: `http://127.0.0.1:${port}` });

function assertFits({ stdout }: MgpuResult): void {
  for (const line of stdout.split('\n')) assert.ok([...line].length <= 80, `longer than 80: ${line}`);
}

const CARD = {
  index: 0,
  uuid: 'GPU-1',
  name: 'NVIDIA GeForce RTX 4090',
  totalMib: 24_576,
  usedMib: 12_288,
  freeMib: 12_000,
  driverReservedMib: 288,
  utilizationPct: 31,
  temperatureC: null,
  powerW: 210.5,
};

test('the sentence, the card, the queue with reasons and the consumers', async (t) => {
  const { port, broker, configuration } = await openControl(t);
  const ollama = sampleConsumer('ollama', { kind: 'ollama' });
  const mvoice = sampleConsumer('mvoice');
  configuration.held = sampleConfiguration({
    consumers: new Map([
      [ollama.id, ollama],
      [mvoice.id, mvoice],
    ]),
  });
  broker.jobs = [
    sampleJob('j_aaaaaaaaaaaaaaaaaaaa', {
      consumer: ollama.id,
      model: 'qwen3:8b',
      state: 'running',
      answered: true,
      queuedAt: 10_000,
      grantedAt: 11_000,
      position: null,
      reason: null,
    }),
    sampleJob('j_bbbbbbbbbbbbbbbbbbbb', {
      expectedWaitMs: 4000,
      reason: {
        code: 'turn_busy',
        holder: jobId('j_aaaaaaaaaaaaaaaaaaaa'),
        target: { consumer: ollama.id, model: 'qwen3:8b' },
        since: 11_000,
      },
    }),
  ];
  broker.state = {
    reading: {
      source: 'nvidia-smi',
      startedAt: 0,
      processes: null,
      sampledAt: 12_900,
      sampledWall: broker.clock.wallOf(12_900),
      cards: [CARD],
    },
    consumers: [
      sampleConsumerSnapshot('ollama', {
        active: 1,
        totalRequests: 31,
        runP50Ms: 900,
        runP95Ms: 2100,
        lastUsedAt: 9000,
      }),
      sampleConsumerSnapshot('mvoice', {
        health: 'down',
        healthError: 'connection refused at 127.0.0.1:8766',
        queued: 1,
      }),
    ],
  };
  const result = await runMgpu(t, ['status'], urlOf(port));
  assert.equal(result.code, 0, result.stderr);
  assertFits(result);
  const lines = result.stdout.split('\n');
  assert.equal(lines[0], 'ready. ollama is answering with qwen3:8b, for 2 s; 1 job waits; mvoice is down.');
  assert.match(result.stdout, /^Card 0 {2}NVIDIA GeForce RTX 4090 +31 % {2}— °C {2}211 W$/m);
  assert.match(result.stdout, /^(█+)(░+) {2}12\.0 of 24\.0 GiB used, 11\.7 free$/m);
  const [, used = '', free = ''] = /^(█+)(░+) /m.exec(result.stdout) ?? [];
  assert.ok(Math.abs(used.length - free.length) <= 1, 'half of the card is half of the bar');
  assert.match(result.stdout, /^ run j_a{20} ollama qwen3:8b +runs 2\.0 s$/m);
  assert.match(result.stdout, /^ {3}1 j_b{20} mvoice +waits 9\.0 s, about 4\.0 s more$/m);
  assert.match(result.stdout, /^ {5}waiting for ollama\/qwen3:8b, which has had the card for 2 s$/m);
  assert.match(result.stdout, /^ollama +up +— +— +1 +0 +31 +0 +0\.9 +2\.1 +4\.0 s$/m);
  assert.match(result.stdout, /^mvoice +down +— +— +0 +1 +0 +0 +— +— +—$/m);
  assert.match(result.stdout, /^mvoice: connection refused at 127\.0\.0\.1:8766$/m);
});

test('in a wide terminal a reason stands beside its job, as far as it fits, and below it', () => {
  const job = {
    id: 'j_bbbbbbbbbbbbbbbbbbbb',
    consumer: 'comfyui',
    state: 'waiting',
    position: 1,
    waited_ms: 9000,
    reason: { code: 'no_room', text: `no room that we could make: ${'held by somebody, '.repeat(6)}given up in 24 s` },
  };
  const lines = statusLines(new JsonView({ jobs: [job], consumers: {} }), 140);
  const at = lines.findIndex((line) => /^ {3}1 j_b{20} comfyui +waits 9\.0 s {2}no room that we could make/.test(line));
  assert.ok(at !== -1, lines.join('\n'));
  assert.match(lines[at + 1] ?? '', /^ {80}\S/);
  for (const line of lines) assert.ok(line.length <= 140, line);
});

test('what is unknown is a dash, never 0', async (t) => {
  const { port, broker } = await openControl(t);
  const unknown = { ...CARD, totalMib: null, usedMib: null, freeMib: null, utilizationPct: null, powerW: null };
  broker.state = {
    reading: {
      source: 'nvidia-smi',
      startedAt: 0,
      processes: null,
      sampledAt: 12_900,
      sampledWall: 0,
      cards: [unknown],
    },
    consumers: [sampleConsumerSnapshot('mvoice', { health: 'unknown' })],
  };
  const result = await runMgpu(t, ['status'], urlOf(port));
  assertFits(result);
  assert.match(result.stdout, /^—+ {2}— of — GiB used, — free$/m);
  assert.match(result.stdout, /— % {2}— °C {2}— W$/m);
  assert.match(result.stdout, /^mvoice +— +— +— /m);
});

test('a card that cannot be read and a refused configuration are said', async (t) => {
  const { port, broker, configuration } = await openControl(t);
  broker.state = { readingError: `nvidia-smi was not found (PATH is /${'x'.repeat(100)})` };
  configuration.refusal = '/etc/x.yaml:1:1 polcy: unknown key\n/etc/x.yaml:2:1 another';
  const result = await runMgpu(t, ['status'], urlOf(port));
  assertFits(result);
  assert.match(result.stdout, /^The card cannot be read: nvidia-smi was not found/m);
  assert.equal(result.stdout.match(/x/g)?.length, 101, 'nothing of the cause is cut off; one more is in x.yaml');
  assert.match(
    result.stdout.replaceAll('\n', ' '),
    /refused, the one before stays in force: .*unknown key \(and 1 more\)/,
  );
});

test('--json is /v1/status as it is', async (t) => {
  const { port } = await openControl(t);
  const { code, stdout } = await runMgpu(t, ['status', '--json'], urlOf(port));
  assert.equal(code, 0);
  const direct: unknown = await (await fetch(`http://127.0.0.1:${port}/v1/status`)).json();
  assert.deepEqual(JSON.parse(stdout), direct);
});

test('names from outside cannot steer the terminal', async (t) => {
  const { port, broker } = await openControl(t);
  broker.jobs = [sampleJob('j_1', { consumer: consumerId('mvoice'), model: 'a\x1b[2Jb\x9b1mc\u202ed' })];
  const { stdout } = await runMgpu(t, ['status'], urlOf(port));
  assert.match(stdout, /mvoice a\uFFFD\[2Jb\uFFFD1mc\uFFFDd/);
});

test('a daemon of another version, with less or other things in its answer, is shown as far as it goes', async (t) => {
  const answer = { state: 'ready', gpu: 7, scheduler: null, consumers: { a: 'x' }, jobs: [{ state: 'waiting' }, null] };
  const { url } = await openStandIn(t, ({ res }: Call) => res.end(JSON.stringify(answer)));
  const result = await runMgpu(t, ['status', '--url', url]);
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stdout, /^ready\. nothing runs; how many wait is unknown\.$/m);
  assertFits(result);
});

test('--watch says since when the daemon cannot be reached, goes on when it is back, and ends well with Ctrl-C', async (t) => {
  const { url } = await openStandIn(t, ({ res }: Call) => {
    calls += 1;
    if (calls === 2) res.destroy();
    else res.end(JSON.stringify({ state: 'ready', uptime_s: calls }));
  });
  let calls = 0;
  const watch = startMgpu(t, ['status', '--watch', '--url', url]);
  await watch.until(
    /cannot be reached since \d\d:\d\d:\d\d: the connection was cut[\s\S]*As it was at[\s\S]*^ready\./m,
  );
  await watch.until(/As it was at[\s\S]*-{80}\n\nmgpu status[\s\S]*ready\./);
  watch.child.kill('SIGINT');
  assert.equal(await watch.end, 0);
  assert.equal(watch.stderr(), '');
  assert.ok(!watch.stdout().includes('\x1b'), 'no terminal, no control sequences');
});

test('--watch --json is one line an answer', async (t) => {
  const { port } = await openControl(t);
  const watch = startMgpu(t, ['status', '--watch', '--json'], urlOf(port));
  await watch.until(/\n.*\n/);
  watch.child.kill('SIGTERM');
  assert.equal(await watch.end, 0);
  for (const line of watch.stdout().trim().split('\n')) assert.equal(JSON.parse(line).state, 'ready');
});
