import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchStream } from '../../src/adapters/answer-streams.js';

function complaintOf(type: string, path: string, text: string, pieceBytes = 3): string | null {
  const watch = watchStream({ status: 200, headers: { 'content-type': type } }, path);
  assert.ok(watch);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += pieceBytes) watch.piece(bytes.subarray(at, at + pieceBytes));
  return watch.complaint();
}

const ndjson = (text: string) => complaintOf('application/x-ndjson', '/api/chat', text);
const sse = (text: string, path = '/v1/chat/completions') =>
  complaintOf('text/event-stream; charset=utf-8', path, text);

test('an NDJSON stream is whole with done:true, with or without a last line feed', () => {
  assert.equal(ndjson('{"message":{"content":"a"},"done":false}\n{"done":true}\n'), null);
  assert.equal(ndjson('{"done":true}'), null);
});

test('an NDJSON stream without done:true ended early, however clean the transfer', () => {
  assert.match(String(ndjson('{"message":{"content":"{\\"done\\":true}"},"done":false}\n')), /ended without done:true/);
});

test('an error line in the middle of a stream is told', () => {
  assert.equal(
    ndjson('{"done":false}\n{"error":"model runner has unexpectedly stopped"}\n'),
    'model runner has unexpectedly stopped',
  );
});

test('an OpenAI stream without [DONE] failed: that is how an error in the middle looks there', () => {
  assert.equal(sse('data: {"choices":[]}\n\ndata: [DONE]\n\n'), null);
  assert.match(String(sse('data: {"choices":[{"delta":{}}]}\n\n')), /ended without \[DONE\]/);
  assert.equal(sse('data: {"error":{"message":"boom"}}\n\ndata: [DONE]\n\n'), 'boom');
});

test('typed streams have their own end marks and no [DONE]', () => {
  assert.equal(sse('event: message_stop\ndata: {"type":"message_stop"}\n\n', '/v1/messages'), null);
  assert.equal(sse('event: x\ndata: {"type":"response.completed"}\n\n', '/v1/responses'), null);
  assert.match(String(sse('data: {"type":"response.created"}\n\n', '/v1/responses')), /ended without/);
});

test('a response that reached its limit of tokens is whole', () => {
  assert.equal(sse('data: {"type":"response.incomplete"}\n\n', '/v1/responses'), null);
});

test('an error member with nothing in it is no error', () => {
  assert.equal(sse('data: {"choices":[],"error":null}\n\ndata: [DONE]\n\n'), null);
  assert.equal(ndjson('{"done":true,"error":null}\n'), null);
});

test('what cannot be read is not judged: errors with a status, compressed streams, lines without end', () => {
  assert.equal(watchStream({ status: 404, headers: { 'content-type': 'application/x-ndjson' } }, '/api/chat'), null);
  const headers = { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' };
  assert.equal(watchStream({ status: 200, headers }, '/api/chat'), null);
  assert.equal(
    complaintOf('application/x-ndjson', '/api/generate', `{"context":[${'1,'.repeat(600_000)}`, 65_536),
    null,
  );
});
