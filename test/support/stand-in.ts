/**
 * Services to stand behind the proxy: one that speaks HTTP through Node and waits for the test to answer, one that
 * writes bytes as the test says.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** One request that reached the stand-in. */
export interface Call {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** All of it; rejects when it was cut. */
  readonly body: Promise<Buffer>;
  /** The exchange is over for the stand-in: answered, or its connection is gone. `complete`: the answer went out. */
  readonly closed: Promise<{ readonly complete: boolean }>;
}

export interface StandIn {
  readonly url: string;
  readonly calls: Call[];
  /** The next call nobody asked for yet. */
  readonly next: () => Promise<Call>;
  readonly server: Server;
}

/** `answer` gets every call; without one the test answers what `next` gives. */
export async function openStandIn(t: TestContext, answer?: (call: Call) => void): Promise<StandIn> {
  const calls: Call[] = [];
  const waiting: ((call: Call) => void)[] = [];
  let handedOut = 0;
  const server = createServer((req, res) => {
    const call = { req, res, body: bodyOf(req), closed: endOf(res) };
    call.body.catch(() => {});
    calls.push(call);
    const give = waiting.shift();
    if (give !== undefined) {
      handedOut += 1;
      give(call);
    }
    answer?.(call);
  });
  const next = (): Promise<Call> => {
    const call = calls[handedOut];
    if (call === undefined) return new Promise((resolve) => waiting.push(resolve));
    handedOut += 1;
    return Promise.resolve(call);
  };
  const url = await openOn(t, server, () => server.closeAllConnections());
  return { url, calls, next, server };
}

async function bodyOf(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const endOf = (res: ServerResponse): Promise<{ complete: boolean }> =>
  new Promise((resolve) => res.once('close', () => resolve({ complete: res.writableFinished })));

export interface RawStandIn {
  readonly url: string;
  /** Everything that came, by connection. */
  readonly received: string[];
}

/** `answer` is called once per connection, when the head of its first request is here. */
export async function openRawStandIn(
  t: TestContext,
  answer: (socket: Socket, head: string) => void,
): Promise<RawStandIn> {
  const received: string[] = [];
  const sockets = new Set<Socket>();
  const server = createNetServer((socket) => {
    const at = received.push('') - 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      const before = received[at] ?? '';
      received[at] = before + chunk.toString('latin1');
      if (!before.includes('\r\n\r\n') && received[at].includes('\r\n\r\n')) answer(socket, received[at]);
    });
  });
  const url = await openOn(t, server, () => {
    for (const socket of sockets) socket.destroy();
  });
  return { url, received };
}

async function openOn(t: TestContext, server: NetServer, cut: () => void): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    const closed = once(server, 'close');
    server.close();
    cut();
    await closed;
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
