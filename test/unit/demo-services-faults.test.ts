/** What all demo services have in common: what they saw, the bad days that can be switched on, and their end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, request } from 'node:http';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { startOllama } from '../../src/demo/services/ollama.js';
import { startWhisperServer } from '../../src/demo/services/whisper-server.js';

const ollama = await startOllama({ speed: 50 });
after(() => ollama.close());

const CHAT = JSON.stringify({ model: 'qwen3:8b', messages: [{ role: 'user', content: 'Say something.' }] });

function post(body: string): ClientRequest {
  const sent = request(`${ollama.url}/api/chat`, { method: 'POST', agent: false });
  sent.end(body);
  return sent;
}

/** Reads an answer to its end; how it ended is told apart. */
async function outcome(sent: ClientRequest): Promise<{ head: number | string; end: 'complete' | 'cut'; text: string }> {
  return new Promise((resolve) => {
    let answered = false;
    sent.once('error', (error: NodeJS.ErrnoException) => {
      if (!answered) resolve({ head: error.code ?? error.message, end: 'cut', text: '' });
    });
    sent.once('response', (response) => {
      answered = true;
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
      });
      response.on('error', () => {});
      response.once('close', () =>
        resolve({ head: response.statusCode ?? 0, end: response.complete ? 'complete' : 'cut', text }),
      );
    });
  });
}

test('each request is seen with its method, path, query and times', async () => {
  const before = ollama.seen.length;
  await (await fetch(`${ollama.url}/api/tags?x=1`)).text();
  await ollama.until(() => ollama.seen[before]?.endedAtMs !== null);
  const seen = ollama.seen[before];
  assert.ok(seen !== undefined);
  assert.deepEqual([seen.method, seen.path, seen.query, seen.aborted], ['GET', '/api/tags', '?x=1', false]);
  assert.ok(seen.endedAtMs !== null && seen.endedAtMs >= seen.startedAtMs);
});

test('a client that leaves in mid-answer is seen as such, and the work ends', async () => {
  const before = ollama.seen.length;
  const sent = post(JSON.stringify({ model: 'qwen3:32b', messages: [{ role: 'user', content: 'long' }] }));
  const [response] = await once(sent, 'response');
  await once(response, 'data');
  sent.destroy();
  await ollama.until(
    () => ollama.seen[before]?.aborted === true && ollama.work.every((span) => span.endedAtMs !== null),
  );
});

test('reset-before-headers: the connection is cut before any answer', async () => {
  ollama.fault = 'reset-before-headers';
  assert.equal((await outcome(post(CHAT))).head, 'ECONNRESET');
  ollama.fault = null;
});

test('garbage: what comes is no HTTP', async () => {
  ollama.fault = 'garbage';
  assert.match(String((await outcome(post(CHAT))).head), /^HPE_/);
  ollama.fault = null;
});

test('hang-before-headers: nothing comes until the client leaves', async () => {
  ollama.fault = 'hang-before-headers';
  const before = ollama.seen.length;
  const sent = post(CHAT);
  sent.on('error', () => {});
  await ollama.until(() => ollama.seen.length > before);
  assert.equal(ollama.seen[before]?.endedAtMs, null);
  sent.destroy();
  await ollama.until(() => ollama.seen[before]?.aborted === true);
  ollama.fault = null;
});

test('reset-mid-answer: the first piece comes, then the connection is cut', async () => {
  ollama.fault = 'reset-mid-answer';
  const streamed = await outcome(post(CHAT));
  assert.deepEqual([streamed.head, streamed.end], [200, 'cut']);
  assert.equal(streamed.text.trim().split('\n').length, 1);
  const whole = await outcome(post(JSON.stringify({ ...JSON.parse(CHAT), stream: false })));
  assert.deepEqual([whole.head, whole.end], [200, 'cut']);
  assert.ok(whole.text.length > 0, 'half of a body with a length comes');
  ollama.fault = null;
});

test('hang-mid-answer: the first piece comes, then nothing until the client leaves', async () => {
  ollama.fault = 'hang-mid-answer';
  const before = ollama.seen.length;
  const sent = post(CHAT);
  const [response] = await once(sent, 'response');
  response.on('error', () => {});
  await once(response, 'data');
  assert.equal(ollama.seen[before]?.endedAtMs, null);
  sent.destroy();
  await ollama.until(() => ollama.seen[before]?.aborted === true);
  ollama.fault = null;
});

test('job-fails: the status stays 200, an error line comes and no last line', async () => {
  ollama.fault = 'job-fails';
  const { head, end, text } = await outcome(post(CHAT));
  assert.deepEqual([head, end], [200, 'complete']);
  assert.deepEqual(JSON.parse(text.trim().split('\n').at(-1) ?? ''), {
    error: 'model runner has unexpectedly stopped',
  });
  ollama.fault = null;
});

test('a fault can be limited to some paths', async () => {
  ollama.fault = 'reset-before-headers';
  ollama.faultPaths = /^\/api\/chat$/;
  assert.equal((await fetch(`${ollama.url}/api/version`)).status, 200);
  assert.equal((await outcome(post(CHAT))).head, 'ECONNRESET');
  ollama.fault = null;
  ollama.faultPaths = /^/;
});

test('close breaks off what runs and frees the port', async () => {
  const service = await startWhisperServer({ speed: 50 });
  const { port } = service;
  service.fault = 'hang-before-headers';
  const open = fetch(`${service.url}/health`).catch((error: unknown) => error);
  await service.until(() => service.seen.length === 1);
  await service.close();
  assert.ok((await open) instanceof Error);
  const again = connect(port, '127.0.0.1');
  const [error] = await once(again, 'error');
  assert.equal(error.code, 'ECONNREFUSED');
});

test('close with finishWork lets the running job end and takes nothing new', async () => {
  const service = await startOllama({ speed: 20 });
  const answer = fetch(`${service.url}/api/chat`, { method: 'POST', body: CHAT });
  await service.until(() => service.work.length > 0);
  const closed = service.close({ finishWork: true });
  const text = await (await answer).text();
  assert.equal(JSON.parse(text.trim().split('\n').at(-1) ?? '').done, true);
  await closed;
});
