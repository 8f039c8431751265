/**
 * One demo service as a process of its own, started by `fleet.ts` with an IPC channel and an order (JSON) as its
 * argument. Says where it listens, and ends with its parent: a closed channel means that the parent is gone, however
 * it went. Ctrl-C reaches the whole terminal, so it is left to the parent, which stops the broker first.
 */
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, resolve } from 'node:path';
import { openCard } from './card.js';
import { FOLDER_PREFIX, type Order, orderSchema, type Report, type ServiceName } from './fleet-messages.js';
import { startComfyui } from './services/comfyui.js';
import { startMvoice } from './services/mvoice.js';
import { startOllama } from './services/ollama.js';
import type { DemoService, DemoServiceOptions } from './services/service.js';
import { startWhisperServer } from './services/whisper-server.js';

const STARTERS: Readonly<Record<ServiceName, (options: DemoServiceOptions) => Promise<DemoService>>> = {
  mvoice: startMvoice,
  // The real one ends with this code when it is told to load a file that is no model.
  'whisper-server': (options) => startWhisperServer({ ...options, exit: (code) => process.exit(code) }),
  ollama: startOllama,
  comfyui: startComfyui,
};

/** Whoever is the last to go removes the folder for good; before that the others only find it missing. */
function removeFolder(folder: string): void {
  const path = resolve(folder);
  if (dirname(path) !== resolve(tmpdir()) || !basename(path).startsWith(FOLDER_PREFIX)) return;
  rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

function report(message: Report, sent: () => void = () => {}): void {
  process.send?.(message, undefined, undefined, sent);
}

async function run(order: Order): Promise<void> {
  process.title = `mgpu demo ${order.name}`;
  process.on('SIGINT', () => {});
  process.on('SIGHUP', () => {});
  process.once('disconnect', () => {
    removeFolder(order.folder);
    process.exit(0);
  });
  const card = openCard(order.cardFolder, order.name);
  const service = await STARTERS[order.name]({ speed: order.speed, card });
  // whisper-server ends the job that runs, the others drop what they do, as the real ones do.
  process.once('SIGTERM', () => {
    const finishWork = order.name === 'whisper-server';
    service.close({ finishWork }).then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
  report({ type: 'ready', url: service.url });
}

const [argument = ''] = process.argv.slice(2);
try {
  await run(orderSchema.parse(JSON.parse(argument)));
} catch (error) {
  process.removeAllListeners('disconnect');
  // The exit code of whisper-server when its model does not load; the others' does not matter.
  report({ type: 'failed', message: error instanceof Error ? error.message : String(error) }, () => process.exit(3));
}
