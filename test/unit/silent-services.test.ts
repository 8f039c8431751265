/** Services that accept and never answer, and one that cannot be reached: what stays open towards them. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { openFullListener } from '../support/full-listener.js';
import { openBroker } from '../support/open-broker.js';

/** Below this many, whatever is asked and however often. */
const FEW = 5;
const PROBES = 40;
const CALLS = 20;

/** Reads nothing, says nothing; knows how many connections it has, had at most at once, and had in all. */
async function openMute(t: TestContext) {
  const changes = new EventEmitter();
  const open = new Set<Socket>();
  const seen = { most: 0, all: 0 };
  const server = createServer((socket) => {
    open.add(socket);
    seen.all += 1;
    seen.most = Math.max(seen.most, open.size);
    socket.on('error', () => {});
    // A close that is not read is not noticed.
    socket.resume();
    socket.on('close', () => open.delete(socket));
    changes.emit('connection');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  const untilAsked = async (times: number) => {
    while (seen.all < times) await once(changes, 'connection');
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, untilAsked };
}

/** Connections of this machine, in any state of theirs, whose other end is that port (proc(5), `/proc/net/tcp`). */
function connectionsTo(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const rows = readFileSync('/proc/net/tcp', 'latin1').trim().split('\n').slice(1);
  return rows.filter((row) => row.trim().split(/\s+/)[2]?.endsWith(`:${hex}`)).length;
}

test('however often they are probed and asked for, fewer than five connections to each stay open', {
  timeout: 60_000,
}, async (t) => {
  const mutes = { openai: await openMute(t), ollama: await openMute(t), http: await openMute(t) };
  const full = await openFullListener(t);
  const ofListener = connectionsTo(full);
  const silent = Object.entries(mutes).map(([kind, { url }]) => [`mute-${kind}`, { kind, url, paths: { llm: '/x' } }]);
  const consumers = {
    ...Object.fromEntries(silent),
    unreachable: { kind: 'openai', url: `http://127.0.0.1:${full}` },
  };
  const broker = await openBroker(t, {
    ...{ consumers, health: { interval: '20ms', timeout: '20ms' } },
    routes: { llm: 'mute-openai' },
  });
  const areDown = () => broker.daemon.broker.snapshot().consumers.every(({ health }) => health === 'down');
  await broker.until((fact) => fact.type === 'consumer', areDown);
  while (!areDown()) await broker.until((fact) => fact.type === 'consumer', areDown);
  for (let round = 0; round < CALLS; round += 1) {
    for (const path of ['/v1/models', '/v1/status']) assert.equal((await broker.call(path)).status, 200);
    for (const consumer of ['mute-openai', 'mute-ollama', 'unreachable']) {
      const body = JSON.stringify({ model: `${consumer}/m`, messages: [] });
      const { status } = await broker.call('/v1/chat/completions', { method: 'POST', body });
      assert.equal(status, 503, consumer);
    }
  }
  for (const [kind, { untilAsked, seen }] of Object.entries(mutes)) {
    await untilAsked(PROBES);
    assert.ok(seen.most < FEW, `${kind}: ${seen.most} at once, ${seen.all} in all`);
  }
  const stay = connectionsTo(full) - ofListener;
  assert.ok(stay < FEW, `${stay} towards the one that cannot be reached`);
});
