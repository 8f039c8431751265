/**
 * Both programs are killed and started again, over and over, while clients ask: every request ends in an answer, in one
 * of our errors, or in an answer that is visibly cut; none hangs; and the daemon's books agree with the clients'.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { numberAt, valueAt } from '../support/json-value.js';
import { startBroker } from '../system/broker-process.js';
import { ask, eventually } from '../system/programs.js';
import { type Asked, brokerErrorOf, post } from './answers.js';
import { type RealProgram, someAudio, startLlamaServer, startWhisperServer, transcription } from './real-programs.js';

const GOES_ON_MS = 30_000;
/** Longer than a start and a probe take together, so that there is work between two kills. */
const KILL_EVERY_MS = { least: 1500, most: 4500 };
const HANGS_AFTER_MS = 60_000;

/** What may come while programs die: refused before the grant, or broken off after it. */
const EXPECTED_CODES = new Set(['consumer_down', 'consumer_failed']);

type Kind = 'whole' | 'own_error' | 'cut' | string;

class Tally {
  readonly #counts = new Map<string, number>();

  add(kind: Kind): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }

  of(kind: Kind): number {
    return this.#counts.get(kind) ?? 0;
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  toString(): string {
    return [...this.#counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
  }
}

/** Throws for an end that nobody may meet. */
async function endOf(url: string, asked: Asked, isWhole: (text: string) => boolean): Promise<Kind> {
  const answer = await post(url, { ...asked, limitMs: HANGS_AFTER_MS });
  const text = answer.body.toString('utf8');
  if (answer.cut) return 'cut';
  const code = answer.status === 200 ? null : brokerErrorOf(answer);
  if (code !== null) {
    assert.ok(EXPECTED_CODES.has(code), `${code}: ${text}`);
    return code;
  }
  if (answer.status !== 200) return 'own_error';
  assert.ok(isWhole(text), `a whole answer was promised, and this came: ${text}`);
  return 'whole';
}

async function keepAsking(until: number, tally: Tally, ask: () => Promise<Kind>): Promise<void> {
  while (performance.now() < until) {
    const kind = await ask();
    tally.add(kind);
    // A client that was refused does not come back in the same moment.
    if (kind !== 'whole') await pause(100);
  }
}

async function keepKilling(until: number, program: RealProgram): Promise<number> {
  let kills = 0;
  while (performance.now() < until) {
    await pause(KILL_EVERY_MS.least + Math.random() * (KILL_EVERY_MS.most - KILL_EVERY_MS.least));
    await program.kill();
    kills += 1;
    await pause(Math.random() * 500);
    program.start();
    await program.ready();
  }
  return kills;
}

async function openAll(t: TestContext): Promise<{ whisper: RealProgram; llama: RealProgram; url: string }> {
  const whisper = await startWhisperServer(t);
  const llama = await startLlamaServer(t, 'LLAMA_ENDLESS_MODEL');
  const { url } = await startBroker(
    t,
    `health: { interval: 500ms }
routes: { stt: whisper, llm: llama }
consumers:
  whisper: { kind: whisper-server, url: "${whisper.url}" }
  llama: { kind: http, url: "${llama.url}", health: /health, paths: { llm: /v1/chat/completions }, drain: 300ms }
`,
  );
  return { whisper, llama, url };
}

const chat = (stream: boolean): Asked => ({
  body: JSON.stringify({ messages: [{ role: 'user', content: 'hi' }], stream, max_tokens: stream ? 80 : 20 }),
  contentType: 'application/json',
});

test('killed and restarted while requests come: nothing hangs, nothing is lost, the totals add up', async (t) => {
  const { whisper, llama, url } = await openAll(t);
  const heard = transcription(await someAudio(), 'json');
  const [stt, llm] = [new Tally(), new Tally()];
  const until = performance.now() + GOES_ON_MS;
  const isJson = (text: string) => typeof JSON.parse(text) === 'object';
  const [whisperKills, llamaKills] = await Promise.all([
    keepKilling(until, whisper),
    keepKilling(until, llama),
    ...[1, 2, 3].map(() => keepAsking(until, stt, () => endOf(`${url}/v1/stt`, heard, isJson))),
    ...[1, 2].map(() => keepAsking(until, llm, () => endOf(`${url}/v1/llm`, chat(false), isJson))),
    ...[1, 2].map(() =>
      keepAsking(until, llm, () => endOf(`${url}/v1/llm`, chat(true), (text) => text.endsWith('data: [DONE]\n\n'))),
    ),
  ]);
  t.diagnostic(`whisper-server killed ${whisperKills} times: ${stt.total} requests: ${stt}`);
  t.diagnostic(`llama-server killed ${llamaKills} times: ${llm.total} requests: ${llm}`);

  const status: unknown = await eventually('no job is left', 20_000, async () => {
    const now: unknown = JSON.parse((await ask(`${url}/v1/status`)).text);
    const left = numberAt(now, 'scheduler', 'queue_depth') + numberAt(now, 'scheduler', 'in_flight');
    return left === 0 ? now : undefined;
  });
  assert.equal(numberAt(status, 'scheduler', 'total_jobs'), stt.total + llm.total);
  for (const [name, tally] of [
    ['whisper', stt],
    ['llama', llm],
  ] as const) {
    assert.equal(numberAt(status, 'consumers', name, 'total_requests'), tally.total, name);
    const failed = tally.of('consumer_failed') + tally.of('cut') + tally.of('own_error');
    assert.equal(numberAt(status, 'consumers', name, 'failed_requests'), failed, `${name}: ${tally}`);
    assert.ok(tally.of('whole') > 0, `${name} answered at least once between the kills`);
  }
  const metrics = (await ask(`${url}/metrics`)).text;
  const counted = [...metrics.matchAll(/^mgpu_jobs_total\{.*\} (\d+)$/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
  assert.equal(counted, stt.total + llm.total, 'metrics');

  const both = await eventually('both are called up again', 10_000, async () => {
    const now: unknown = JSON.parse((await ask(`${url}/v1/status`)).text);
    const health = ['whisper', 'llama'].map((name) => valueAt(now, 'consumers', name, 'health'));
    return health.every((word) => word === 'up') ? health : undefined;
  });
  assert.equal(both.length, 2);
  assert.equal(await endOf(`${url}/v1/stt`, heard, isJson), 'whole');
  assert.equal(await endOf(`${url}/v1/llm`, chat(false), isJson), 'whole');
});
