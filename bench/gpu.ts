/**
 * The broker on a real card, with four PyTorch consumers that do not fit together: `node dist/bench/gpu.js CONSUMER.py`.
 * Runs the same 48 jobs of 8 clients under passthrough, locked and vram-lru, looks at the attribution of processes, at
 * what is learned with and without the process list, at a stuck and a missing nvidia-smi, and at the time from the
 * memory coming back to the next grant. Prints one JSON object. Needs a card of 80 GB, nvidia-smi, Python with PyTorch.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attributionOf } from './gpu/attribution.js';
import { Broker } from './gpu/broker.js';
import { startConsumers } from './gpu/consumers.js';
import { grantLatencies, sampleCard } from './gpu/latency.js';
import { runLoad } from './gpu/load.js';
import { SwitchedSmi } from './gpu/switched-smi.js';

const script = process.argv[2];
if (script === undefined) throw new Error('usage: node dist/bench/gpu.js CONSUMER.py');
const folder = mkdtempSync(join(tmpdir(), 'mgpu-gpu-'));
const smi = new SwitchedSmi(folder);
const results: Record<string, unknown> = { card: await describeCard() };

for (const policy of ['passthrough', 'locked', 'vram-lru'] as const) {
  const consumers = await startConsumers(script);
  const broker = await Broker.start({ folder, name: policy, policy, consumers, env: smi.env });
  const sampler = policy === 'vram-lru' ? sampleCard() : null;
  const load = await runLoad(broker.url, 'job');
  const status = await broker.status();
  results[policy] = { ...load, evictions: status.scheduler.evictions, loads: status.scheduler.loads };
  if (sampler !== null) {
    results.grant_after_memory_is_back_ms = grantLatencies(broker.events, sampler.stop());
    results.attribution = await attributionOf(broker, consumers);
    results.learned_with_list = broker.learned();
  }
  await broker.stop();
  await consumers.stop();
  console.error(policy, JSON.stringify(results[policy]));
}

smi.set('no-list');
await withVramLru('no-list', async (broker) => {
  results['vram-lru without the process list'] = await runLoad(broker.url, 'job');
  results.learned_without_list = broker.learned();
});

await withVramLru('troubles', async (broker) => {
  smi.set('good');
  const before = await runLoad(broker.url, 'job', 8);
  smi.set('stuck');
  const stuck = await runLoad(broker.url, 'job', 16);
  smi.set('gone');
  const gone = await runLoad(broker.url, 'job', 16);
  smi.set('good');
  const after = await runLoad(broker.url, 'job', 8);
  const { gpu } = await broker.status();
  results.troubles = { before, stuck, gone, after, error_afterwards: gpu.error };
});

console.log(JSON.stringify(results, null, 1));
process.exit(0);

async function withVramLru(name: string, body: (broker: Broker) => Promise<void>): Promise<void> {
  const consumers = await startConsumers(script ?? '');
  const broker = await Broker.start({ folder, name, policy: 'vram-lru', consumers, env: smi.env });
  await body(broker);
  await broker.stop();
  await consumers.stop();
  console.error(name, 'done');
}

function describeCard(): Promise<string> {
  const fields = '--query-gpu=name,memory.total,driver_version';
  const tool = spawn('nvidia-smi', [fields, '--format=csv,noheader'], { stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve) => {
    let text = '';
    tool.stdout.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    tool.on('close', () => resolve(`${text.trim()}, Node ${process.version}, ${cpuName()}`));
  });
}

function cpuName(): string {
  return /model name\s*:\s*(.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown processor';
}
