/** A service whose streams are nothing but the time at which each piece left it: what lies between is the broker's. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const PIECES = 200;
const EVERY_MS = 10;

async function tellTime(res: ServerResponse): Promise<void> {
  const say = (delta: object, finish_reason: string | null) => {
    const choices = [{ index: 0, delta, finish_reason }];
    const stamp = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'clock' };
    res.write(`data: ${JSON.stringify({ ...stamp, choices })}\n\n`);
  };
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let piece = 0; piece < PIECES; piece += 1) {
    say({ role: 'assistant', content: String(performance.timeOrigin + performance.now()) }, null);
    await pause(EVERY_MS);
  }
  say({}, 'stop');
  res.end('data: [DONE]\n\n');
}

export async function startClock(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer((req, res) => {
    req.resume();
    if (req.method === 'POST') void tellTime(res);
    else res.writeHead(req.url === '/slots' ? 404 : 200).end('{"data":[{"id":"clock"}]}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}
