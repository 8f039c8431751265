import assert from 'node:assert/strict';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { test } from 'node:test';
import type { Route } from '../../src/server/exchange.js';
import { createHostCheck } from '../../src/server/hosts.js';
import { createNetworks, plainAddress } from '../../src/server/networks.js';
import { sendJson } from '../../src/server/respond.js';
import { openDoor } from '../support/open-door.js';
import { HeldConfiguration, sampleConfiguration } from '../support/sample-configuration.js';
import { call, exchangeRaw, openSocket, readUntil } from '../support/wire.js';

const tellsCaller: Route['handler'] = (exchange) => sendJson(exchange, 200, exchange.caller);

const ROUTES: Route[] = [
  { method: '*', path: '/ask', needs: 'ask', handler: tellsCaller },
  { method: '*', path: '/operate', needs: 'operate', handler: tellsCaller },
  { method: 'GET', path: '/anybody', needs: 'anybody', handler: tellsCaller },
  {
    method: 'GET',
    path: '/socket',
    needs: 'ask',
    handler: tellsCaller,
    upgrade: (_exchange, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\nwelcome'),
  },
];

const forwardedFor = (addresses: string) => ({ 'X-Forwarded-For': addresses });
const errorOf = (text: string): { code: string; message: string } => JSON.parse(text).error;

test('behind a trusted proxy the last forwarded address is the caller', async (t) => {
  const { port } = await openDoor(t, ROUTES);
  const matrix: readonly (readonly [string, number, string])[] = [
    ['10.1.2.3', 200, '10.1.2.3'],
    ['8.8.8.8, 10.1.2.3', 200, '10.1.2.3'],
    ['100.101.1.7', 200, '100.101.1.7'],
    ['::ffff:10.1.2.3', 200, '10.1.2.3'],
    ['[fd00::5]:4711', 200, 'fd00::5'],
    ['10.1.2.3:4711', 200, '10.1.2.3'],
    ['203.0.113.9', 401, '203.0.113.9'],
    ['10.1.2.3, 203.0.113.9', 401, '203.0.113.9'],
    ['2001:db8::1', 401, '2001:db8::1'],
  ];
  for (const [forwarded, status, address] of matrix) {
    const answer = await call(port, '/ask', { headers: forwardedFor(forwarded) });
    assert.equal(answer.status, status, forwarded);
    if (status === 200) assert.equal(JSON.parse(answer.text).address, address);
    else assert.ok(errorOf(answer.text).message.includes(address), answer.text);
  }
});

test('who is refused reads the line that would let it in', async (t) => {
  const { port } = await openDoor(t, ROUTES);
  const outside = await call(port, '/ask', { headers: forwardedFor('203.0.113.9') });
  assert.equal(errorOf(outside.text).code, 'unauthorized');
  assert.match(errorOf(outside.text).message, /access\.allow: \[\.\.\., "203\.0\.113\.9\/32"\]/);
  assert.ok(outside.headers['www-authenticate']);
  const observer = await call(port, '/operate', { headers: forwardedFor('fd00::5') });
  assert.equal(observer.status, 403);
  assert.match(errorOf(observer.text).message, /access\.operators: \[\.\.\., "fd00::5\/128"\]/);
});

test('a forwarded text that is no address is let in nowhere', async (t) => {
  const { port } = await openDoor(t, ROUTES);
  for (const forwarded of ['unknown', '', '10.1.2.3,', '<script>']) {
    const answer = await call(port, '/ask', { headers: forwardedFor(forwarded) });
    assert.equal(answer.status, 401, forwarded);
    assert.match(errorOf(answer.text).message, /X-Forwarded-For/);
  }
});

test('a forwarded address from an untrusted peer is ignored', async (t) => {
  const strict = sampleConfiguration();
  const configuration = new HeldConfiguration({ ...strict, access: { ...strict.access, proxies: [] } });
  const { port } = await openDoor(t, ROUTES, { configuration });
  const answer = await call(port, '/ask', { headers: forwardedFor('203.0.113.9') });
  assert.equal(JSON.parse(answer.text).address, '127.0.0.1');
});

test('a reload counts from the next request on', async (t) => {
  const { port, configuration } = await openDoor(t, ROUTES);
  const headers = forwardedFor('203.0.113.9');
  assert.equal((await call(port, '/ask', { headers })).status, 401);
  const { access } = configuration.held;
  configuration.held = sampleConfiguration({ access: { ...access, allow: [...access.allow, '203.0.113.9/32'] } });
  assert.equal((await call(port, '/ask', { headers })).status, 200);
});

test('operators act from loopback with a loopback host name only', async (t) => {
  const { port } = await openDoor(t, ROUTES);
  for (const host of ['127.0.0.1:8770', 'localhost', 'LOCALHOST:1', '[::1]:8770', 'mgpu.localhost']) {
    assert.equal((await call(port, '/operate', { method: 'POST', headers: { Host: host } })).status, 200, host);
  }
  for (const host of ['gpu-box', '192.168.1.5:8770', 'gpu.tail1234.ts.net']) {
    const answer = await call(port, '/operate', { method: 'POST', headers: { Host: host } });
    assert.equal(answer.status, 403, host);
    assert.match(errorOf(answer.text).message, /127\.0\.0\.1.*host name.*localhost/s);
  }
});

test('an operator on another machine needs no loopback host name', async (t) => {
  const usual = sampleConfiguration();
  const operators = [...usual.access.operators, '100.64.0.0/10'];
  const configuration = new HeldConfiguration({ ...usual, access: { ...usual.access, operators } });
  const { port } = await openDoor(t, ROUTES, { configuration });
  const headers = { ...forwardedFor('100.101.1.7'), Host: 'gpu.tail1234.ts.net:8770' };
  assert.equal((await call(port, '/operate', { method: 'POST', headers })).status, 200);
});

test('a page under a foreign name that points at us is refused by its Host', async (t) => {
  const { port } = await openDoor(t, ROUTES);
  for (const host of [
    'evil.example.com',
    'evil.example.com:8770',
    'ts.net.evil.com',
    '127.0.0.1.evil.com',
    'evilts.net',
  ]) {
    for (const path of ['/ask', '/anybody', '/nowhere']) {
      const answer = await call(port, path, { headers: { Host: host } });
      assert.equal(answer.status, 403, host);
      assert.match(errorOf(answer.text).message, /access\.hosts: \[\.\.\., "/);
    }
  }
});

test('usual private names are answered, a listed set is answered alone', () => {
  const usual = createHostCheck(null, 'Box7.example.org');
  for (const name of [
    'localhost',
    '10.0.0.1',
    '::1',
    'gpu-box',
    'a.ts.net',
    'x.y.lan',
    'a.home.arpa',
    'box7.example.org',
  ]) {
    assert.ok(usual(name), name);
  }
  for (const name of ['example.org', 'other.example.org', 'local.example.org']) assert.ok(!usual(name), name);
  assert.ok(createHostCheck(null)(hostname().toLowerCase()));
  const listed = createHostCheck(['gpu.example.org', '*.corp.example.org']);
  for (const name of ['gpu.example.org', 'a.b.corp.example.org', '127.0.0.1', 'localhost'])
    assert.ok(listed(name), name);
  for (const name of ['corp.example.org', 'gpu-box', '10.0.0.1', 'a.ts.net']) assert.ok(!listed(name), name);
});

test('a foreign Origin is refused on everything that could change something', async (t) => {
  const { port } = await openDoor(t, ROUTES);
  for (const origin of ['https://evil.example.com', 'null', 'http://127.0.0.1:1', 'file://', 'garbage']) {
    for (const method of ['POST', 'DELETE', 'PUT', 'OPTIONS', 'PATCH', 'QUERY']) {
      const answer = await call(port, '/ask', { method, headers: { Origin: origin } });
      assert.equal(answer.status, 403, `${method} ${origin}`);
      assert.equal(answer.headers['access-control-allow-origin'], undefined);
    }
    assert.equal((await call(port, '/ask', { headers: { Origin: origin } })).status, 200);
    assert.equal((await call(port, '/ask', { method: 'HEAD', headers: { Origin: origin } })).status, 200);
  }
});

test('the page that came from here may post', async (t) => {
  const { port } = await openDoor(t, ROUTES);
  const pairs = [
    [`127.0.0.1:${port}`, `http://127.0.0.1:${port}`],
    ['gpu.lan', 'https://gpu.lan'],
    ['gpu.lan:443', 'https://GPU.lan'],
    ['[::1]:8770', 'http://[::1]:8770'],
  ] as const;
  for (const [host, origin] of pairs) {
    const answer = await call(port, '/ask', { method: 'POST', headers: { Host: host, Origin: origin } });
    assert.equal(answer.status, 200, `${host} ${origin}`);
  }
});

test('an upgrade from a foreign page is refused, one from here passes', async (t) => {
  const { port } = await openDoor(t, ROUTES);
  const upgrade = (extra: string) =>
    `GET /socket HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${extra}\r\n`;
  assert.match(
    await exchangeRaw(port, upgrade('Origin: https://evil.example.com\r\n')),
    /^HTTP\/1\.1 403 .*"forbidden"/s,
  );
  assert.match(await exchangeRaw(port, upgrade('X-Forwarded-For: 203.0.113.9\r\n')), /^HTTP\/1\.1 401 /);
  const socket = await openSocket(port);
  socket.write(upgrade(`Origin: http://127.0.0.1:${port}\r\n`));
  assert.match(await readUntil(socket, (text) => text.endsWith('welcome')), /^HTTP\/1\.1 101 /);
  socket.end();
  await once(socket, 'close');
});

test('health is for anybody, what does not exist is not', async (t) => {
  const { port } = await openDoor(t, ROUTES);
  const headers = forwardedFor('203.0.113.9');
  assert.equal((await call(port, '/anybody', { headers })).status, 200);
  assert.equal((await call(port, '/nowhere', { headers })).status, 401);
});

test('addresses are read out of every form they are written in', () => {
  const forms: readonly (readonly [string, string | null])[] = [
    [' 10.0.0.1 ', '10.0.0.1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[2001:DB8::1]', '2001:db8::1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['1.2.3', null],
    ['1.2.3.4.5', null],
    ['localhost', null],
  ];
  for (const [text, address] of forms) assert.equal(plainAddress(text), address, text);
});

test('networks hold their addresses, single ones too', () => {
  const networks = createNetworks(['10.0.0.0/8', '192.168.1.7', 'fd00::/8']);
  for (const inside of ['10.255.0.1', '192.168.1.7', 'fd12::1']) assert.ok(networks.has(inside), inside);
  for (const outside of ['11.0.0.1', '192.168.1.8', 'fe80::1', 'unknown', ''])
    assert.ok(!networks.has(outside), outside);
});
