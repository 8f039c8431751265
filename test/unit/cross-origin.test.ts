/** Pages of other origins: none may read or send until `access.origins` names it, and then every path answers as browsers need. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openBroker, untilAllUp } from '../support/open-broker.js';
import { type Call, openStandIn } from '../support/stand-in.js';
import { exchangeRaw } from '../support/wire.js';

const PAGE = 'https://chat.example.org';
/** What the SDK for JavaScript sends beside what needs no leave. */
const WANTED = 'authorization, content-type, x-stainless-read-timeout, openai-organization';
const OPEN = /^access-control-allow-origin: (.*)\r$/gim;

/** A service that opens itself to every page, as whisper-server and many others do. */
function answer({ req, res }: Call): void {
  const head = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': 'content-type' };
  if (req.url === '/v1/models') res.writeHead(200, head).end('{"data":[{"id":"m"}]}');
  else if (req.method === 'GET') res.writeHead(req.url === '/slots' ? 404 : 200, head).end('{}');
  else res.writeHead(200, { ...head, 'content-type': 'application/json' }).end('{"choices":[]}');
}

async function open(t: TestContext, origins: readonly string[]) {
  const service = await openStandIn(t, answer);
  const consumers = { m: { kind: 'openai', url: service.url } };
  const broker = await openBroker(t, { routes: { llm: 'm' }, consumers, access: { origins } });
  await untilAllUp(broker);
  const ask = (line: string, headers: readonly string[], body = '') => {
    const all = ['Host: localhost', 'Connection: close', ...headers, ...(body === '' ? [] : ['Content-Length: 2'])];
    return exchangeRaw(broker.port, `${line} HTTP/1.1\r\n${all.join('\r\n')}\r\n\r\n${body}`);
  };
  return { service, ask };
}

const openTo = (text: string): string[] => [...text.matchAll(OPEN)].map(([, origin = '']) => origin);
const PREFLIGHT = [`Origin: ${PAGE}`, 'Access-Control-Request-Method: POST'];
const PATHS = [
  ...['/v1/chat/completions', '/chat/completions', '/v1/models', '/v1/models/m', '/v1/audio/transcriptions'],
  ...['/v1/llm', '/consumers/m/v1/chat/completions', '/v1/status', '/v1/jobs/x', '/', '/nowhere'],
];

test('a named page: the question before its request gets 204 on every path, with what it asked for', async (t) => {
  const { ask, service } = await open(t, [PAGE]);
  for (const path of PATHS) {
    const text = await ask(`OPTIONS ${path}`, [...PREFLIGHT, `Access-Control-Request-Headers: ${WANTED}`]);
    assert.match(text, /^HTTP\/1\.1 204 /, path);
    assert.deepEqual(openTo(text), [PAGE], path);
    assert.match(text, new RegExp(`^access-control-allow-headers: ${WANTED}\\r$`, 'im'));
    assert.match(text, /^access-control-allow-methods: .*\bPOST\b/im);
    assert.match(text, /^vary: .*\bOrigin\b/im);
    assert.doesNotMatch(text, /credentials/i);
  }
  assert.ok(
    service.calls.every(({ req }) => req.method === 'GET'),
    'no service hears of it',
  );
});

test('a named page: every answer opens itself to it once, whatever the service says, errors too', async (t) => {
  const { ask } = await open(t, [PAGE]);
  const origin = `Origin: ${PAGE}`;
  const asked = [
    ['200', 'POST /v1/chat/completions', '{}'],
    ['200', 'POST /v1/llm', '{}'],
    ['200', 'POST /consumers/m/v1/chat/completions', '{}'],
    ['200', 'GET /consumers/m/v1/models', ''],
    ['200', 'GET /v1/models', ''],
    ['404', 'GET /v1/models/none', ''],
    ['404', 'POST /nowhere', '{}'],
  ] as const;
  for (const [status, line, body] of asked) {
    const text = await ask(line, [origin], body);
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), line);
    assert.deepEqual(openTo(text), [PAGE], line);
    assert.match(text, /^access-control-expose-headers: .*X-Request-Id/im);
  }
  for (const line of ['POST /v1/drain', 'POST /v1/consumers/m/evict']) {
    const text = await ask(line, [origin], '{}');
    assert.match(text, /^HTTP\/1\.1 403 [\s\S]*no page of another origin/, line);
  }
});

test('any other page, and every page where none is named: 403, and nothing to read', async (t) => {
  for (const origins of [[], [PAGE]]) {
    const { ask } = await open(t, origins);
    const origin = 'Origin: https://elsewhere.example.com';
    assert.match(await ask('OPTIONS /v1/chat/completions', [origin, 'Access-Control-Request-Method: POST']), / 403 /);
    const posted = await ask('POST /v1/chat/completions', [origin], '{}');
    assert.match(posted, / 403 [\s\S]*access\.origins: \[\.\.\., \\"https:\/\/elsewhere\.example\.com\\"\]/);
    const read = await ask('GET /consumers/m/v1/models', [origin]);
    assert.match(read, / 200 /);
    for (const text of [posted, read]) assert.deepEqual(openTo(text), []);
  }
});

test('every page, where the file says so; who sends no origin is told nothing of pages', async (t) => {
  const { ask } = await open(t, ['*']);
  const text = await ask('POST /v1/chat/completions', ['Origin: null'], '{}');
  assert.deepEqual([text.slice(9, 12), openTo(text)], ['200', ['null']]);
  assert.deepEqual(openTo(await ask('POST /v1/chat/completions', [], '{}')), []);
});
