/** A real llama-server behind the daemon, as kind `http`: tokens as they come, and a slot that is free again. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { valueAt } from '../support/json-value.js';
import { startBroker } from '../system/broker-process.js';
import { ask } from '../system/programs.js';
import { type Answer, post } from './answers.js';
import { type RealProgram, startLlamaServer } from './real-programs.js';

async function open(t: TestContext, model: 'LLAMA_MODEL' | 'LLAMA_ENDLESS_MODEL'): Promise<[RealProgram, string]> {
  const llama = await startLlamaServer(t, model);
  const { url } = await startBroker(
    t,
    `routes: { llm: llama }
consumers:
  llama: { kind: http, url: "${llama.url}", health: /health, paths: { llm: /v1/chat/completions }, drain: 300ms }
`,
  );
  return [llama, url];
}

const chat = (more: object): { body: string; contentType: string } => ({
  body: JSON.stringify({ messages: [{ role: 'user', content: 'hi' }], temperature: 0, seed: 1, ...more }),
  contentType: 'application/json',
});

const eventsIn = (text: string): number => text.split('data: ').length - 1;
const pathOfChat = '/v1/chat/completions';

test('a chat answer passes with all that is not about time and identity', async (t) => {
  const [llama, url] = await open(t, 'LLAMA_MODEL');
  const contentOf = ({ body }: Answer) => valueAt(JSON.parse(body.toString()), 'choices', 0, 'message', 'content');
  const direct = await post(llama.url + pathOfChat, chat({ max_tokens: 20 }));
  const through = await post(`${url}/v1/llm`, chat({ max_tokens: 20 }));
  assert.equal(through.status, 200, through.body.toString());
  assert.equal(contentOf(through), contentOf(direct));
  assert.equal(through.headers['content-type'], direct.headers['content-type']);
});

test('each token is seen by itself, long before the end', async (t) => {
  const [llama, url] = await open(t, 'LLAMA_ENDLESS_MODEL');
  const asked = chat({ stream: true, max_tokens: 60 });
  const direct = await post(llama.url + pathOfChat, asked);
  const through = await post(`${url}/v1/llm`, asked);
  assert.equal(through.status, 200, through.body.toString());
  assert.match(through.body.toString(), /data: \[DONE\]\n\n$/);
  assert.ok(eventsIn(through.body.toString()) >= 61, `${eventsIn(through.body.toString())} events`);
  const [first, last] = [through.pieces[0], through.pieces.at(-1)];
  assert.ok(
    first !== undefined && last !== undefined && first.atMs < last.atMs / 2,
    `${first?.atMs} of ${last?.atMs} ms`,
  );
  // The first event and the last ones come together from the server itself; between them one piece is one token.
  const single = ({ pieces }: Answer) => pieces.filter(({ text }) => eventsIn(text) === 1).length;
  t.diagnostic(
    `${eventsIn(through.body.toString())} events: ${single(through)} came alone, ${single(direct)} by a direct call; ` +
      `the first after ${first?.atMs.toFixed(0)} ms, the last after ${last?.atMs.toFixed(0)} ms`,
  );
  assert.ok(single(through) >= 0.9 * single(direct) && single(through) >= 50, `only ${single(through)} came alone`);
});

const SLOT_FREE_WITHIN_MS = 1000;
const LEAVINGS = 10;

test('a client that leaves in the middle of a stream frees the slot within a second', async (t) => {
  const [llama, url] = await open(t, 'LLAMA_ENDLESS_MODEL');
  const isBusy = async () => valueAt(JSON.parse((await ask(`${llama.url}/slots`)).text), 0, 'is_processing');
  const tookMs: number[] = [];
  for (let round = 0; round < LEAVINGS; round += 1) {
    let looks = false;
    let wasBusy = false;
    const leaveWhen = (text: string): boolean => {
      if (eventsIn(text) < 5) return false;
      if (!looks) {
        looks = true;
        void isBusy().then((now) => {
          wasBusy = now === true;
        });
      }
      return wasBusy;
    };
    const left = await post(`${url}/v1/llm`, { ...chat({ stream: true, max_tokens: 1500 }), leaveWhen });
    const leftAt = performance.now();
    assert.ok(left.cut && !left.body.includes('[DONE]'), 'the client left in the middle');
    while ((await isBusy()) !== false)
      assert.ok(performance.now() - leftAt < 10_000, 'the slot is still busy after 10 s');
    tookMs.push(performance.now() - leftAt);
  }
  t.diagnostic(`slot free after ${tookMs.map((ms) => ms.toFixed(0)).join(', ')} ms`);
  assert.ok(Math.max(...tookMs) < SLOT_FREE_WITHIN_MS, `${Math.max(...tookMs)} ms`);
  const status: unknown = JSON.parse((await ask(`${url}/v1/status`)).text);
  assert.equal(valueAt(status, 'scheduler', 'total_jobs'), LEAVINGS);
});
