/** What the broker says that each consumer holds, beside what nvidia-smi says of its process. */
import { execFileSync } from 'node:child_process';
import type { Broker } from './broker.js';
import type { Consumers } from './consumers.js';

export async function attributionOf(broker: Broker, consumers: Consumers): Promise<object> {
  const text = execFileSync('nvidia-smi', ['--query-compute-apps=pid,used_memory', '--format=csv,noheader,nounits']);
  const byPid = new Map(
    text
      .toString()
      .trim()
      .split('\n')
      .map((line) => line.split(', ').map(Number) as [number, number]),
  );
  // Its next sample shows what this call showed: nothing runs now.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const status = await broker.status();
  return Object.fromEntries(
    [...consumers.pids].map(([name, pid]) => [
      name,
      { broker_mib: status.consumers[name]?.gpu_resident_mib ?? null, nvidia_smi_mib: byPid.get(pid) ?? 0 },
    ]),
  );
}
