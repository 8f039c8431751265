import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { consumerAt, openProxy } from '../support/open-proxy.js';
import { openRawStandIn, openStandIn } from '../support/stand-in.js';
import { call, openSocket, readUntil } from '../support/wire.js';

const post = (more = '', version = '1.1'): string =>
  `POST /v1/llm HTTP/${version}\r\nHost: localhost\r\nContent-Length: 2\r\n${more}\r\n{}`;
const codeIn = (text: string): string => JSON.parse(text.slice(text.indexOf('{'))).error.code;

const EVENTS = ['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n'];
const inChunks = EVENTS.map((event) => `${event.length.toString(16)}\r\n${event}\r\n`).join('');
const FRAMINGS = {
  chunked: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${inChunks}`,
  length: `HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${EVENTS.join('')}`,
  'close-delimited': `HTTP/1.0 200 OK\r\n\r\n${EVENTS.join('')}`,
};

/** The cut comes when the answer is at the client, so that a reset cannot overtake it. */
function cutting(framing: string, how: 'reset' | 'end') {
  let cut: (() => void) | null = null;
  return {
    answer: (socket: Socket) => {
      socket.write(framing);
      cut = () => (how === 'reset' ? socket.resetAndDestroy() : socket.destroy());
    },
    now: () => cut?.(),
  };
}

for (const [framing, how] of [
  ['chunked', 'reset'],
  ['chunked', 'end'],
  ['length', 'reset'],
  ['length', 'end'],
  ['close-delimited', 'reset'],
] as const) {
  test(`a ${framing} answer that breaks off by ${how}: the client sees the pieces and that more is missing`, async (t) => {
    const cut = cutting(FRAMINGS[framing], how);
    const service = await openRawStandIn(t, cut.answer);
    const { port, job } = await openProxy(t, consumerAt(service.url));
    for (const version of ['1.1', '1.0']) {
      const socket = await openSocket(port);
      let reset = false;
      socket.on('error', () => {
        reset = true;
      });
      socket.write(post('', version));
      const text = await readUntil(socket, (sofar) => EVENTS.every((event) => sofar.includes(event)));
      let rest = '';
      socket.on('data', (chunk: Buffer) => {
        rest += chunk.toString('latin1');
      });
      cut.now();
      await once(socket, 'close').catch(() => {});
      assert.equal(rest, '', 'nothing comes after the break, no last chunk');
      assert.doesNotMatch(text, /\r\n0\r\n/);
      // Where neither a length nor chunks tell the end, only a reset shows that it is early.
      if (version === '1.0' && framing !== 'length') assert.ok(reset, 'a reset');
      const { outcome } = await job('ended');
      assert.deepEqual([outcome?.end, outcome?.code], ['failed', 'consumer_failed']);
      await job('work_over');
    }
  });
}

test('an answer that breaks off after its head: the head, nothing else, and a broken connection', async (t) => {
  let upstream: Socket | null = null;
  const service = await openRawStandIn(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    upstream = socket;
  });
  const { port, job } = await openProxy(t, consumerAt(service.url));
  const socket = await openSocket(port);
  socket.write(post());
  const text = await readUntil(socket, (sofar) => sofar.includes('\r\n\r\n'));
  const closed = once(socket, 'close');
  (upstream as Socket | null)?.resetAndDestroy();
  await closed;
  assert.match(text, /^HTTP\/1\.1 200 OK.*\r\n\r\n$/s);
  assert.equal((await job('ended')).outcome?.code, 'consumer_failed');
});

test('what a consumer sends that is no answer becomes 502 with the reason', async (t) => {
  const cases: [string, RegExp][] = [
    ['', /closed the connection before its answer was complete/],
    ['SSH-2.0-OpenSSH_9.2\r\n', /not valid HTTP/],
    ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok', /not valid HTTP/],
    ['HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n', /not valid HTTP/],
    ['HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n', /closed the connection/],
  ];
  let bytes = '';
  const service = await openRawStandIn(t, (socket) => socket.end(bytes));
  const { port, job } = await openProxy(t, consumerAt(service.url));
  for (const [answer, message] of cases) {
    bytes = answer;
    const { status, text, headers } = await call(port, '/v1/llm', { method: 'POST', body: '{}' });
    assert.deepEqual([status, codeIn(text), headers['x-mgpu-error']], [502, 'consumer_failed', 'consumer_failed']);
    assert.match(text, message);
    const ended = await job('ended');
    assert.deepEqual([ended.outcome?.end, ended.outcome?.code], ['failed', 'consumer_failed']);
    assert.equal(JSON.parse(text).error.job, ended.id);
    assert.equal((await job('work_over')).id, ended.id);
  }
});

test('a refused connection although the last probe was good is consumer_failed', async (t) => {
  const service = await openStandIn(t);
  service.server.close();
  const { port, job } = await openProxy(t, consumerAt(service.url));
  const { status, text } = await call(port, '/v1/llm', { method: 'POST', body: '{}' });
  assert.deepEqual([status, codeIn(text)], [502, 'consumer_failed']);
  assert.match(text, /refused the connection at 127\.0\.0\.1:\d+/);
  assert.equal((await job('work_over')).outcome?.end, 'failed');
});

test('a status of 500 and above passes unchanged and counts as a failure of the consumer', async (t) => {
  const service = await openStandIn(t, ({ res }) => res.writeHead(500).end('{"detail":"boom"}'));
  const { port, job } = await openProxy(t, consumerAt(service.url));
  const { status, text, headers } = await call(port, '/v1/llm', { method: 'POST', body: '{}' });
  assert.deepEqual([status, text, headers['x-mgpu-error']], [500, '{"detail":"boom"}', undefined]);
  assert.deepEqual((await job('ended')).outcome, {
    ...{ end: 'failed', code: 'consumer_failed', message: 'service answered 500' },
  });
});
