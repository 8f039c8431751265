/** A port that is listened on but accepts nobody, its queue full: who connects hears nothing, not even a refusal. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';

/** A thread that blocks itself never accepts, while the kernel goes on queueing, here one connection and one more. */
const PROGRAM = `
  const { parentPort } = require('node:worker_threads');
  const server = require('node:net').createServer();
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
  });`;
const QUEUE_LENGTH = 2;

/** Resolves with its port. */
export async function openFullListener(t: TestContext): Promise<number> {
  const worker = new Worker(PROGRAM, { eval: true });
  const sockets: Socket[] = [];
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await worker.terminate();
  });
  const [port] = await once(worker, 'message');
  for (let filled = 0; filled < QUEUE_LENGTH; filled += 1) {
    const socket = connect(Number(port), '127.0.0.1').on('error', () => {});
    sockets.push(socket);
    await once(socket, 'connect');
  }
  return Number(port);
}
