/** From the moment an independent sampler sees a victim's memory back to the next grant. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { BrokerEvent } from './broker.js';

const SAMPLER = fileURLToPath(new URL('../../../bench/nvml-sampler.py', import.meta.url));

interface Sample {
  readonly at: number;
  readonly usedMib: number;
}

export function sampleCard(): { stop(): Sample[] } {
  const child = spawn('python3', [SAMPLER], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return {
    stop() {
      child.kill();
      return text
        .trim()
        .split('\n')
        .map((line) => line.split(' ').map(Number))
        .map(([at = 0, usedMib = 0]) => ({ at, usedMib }));
    },
  };
}

/** Per eviction that made the room for a grant: milliseconds, sorted; and their median. */
export function grantLatencies(events: readonly BrokerEvent[], samples: readonly Sample[]): object {
  const latencies: number[] = [];
  for (const [index, event] of events.entries()) {
    if (event.name !== 'target' || event.data.from !== 'evicting' || event.data.to !== 'absent') continue;
    const begun = lastBefore(
      events,
      index,
      (one) => one.data.to === 'evicting' && one.data.target === event.data.target,
    );
    const next = events.slice(index).find(isGrantOrEviction);
    if (begun === undefined || next === undefined || next.name !== 'job') continue;
    const backAt = memoryBackAt(samples, begun.at, event.at);
    if (backAt !== null) latencies.push(next.at - backAt);
  }
  latencies.sort((a, b) => a - b);
  return { median: latencies[Math.floor(latencies.length / 2)] ?? null, all: latencies.map(Math.round) };
}

function lastBefore(events: readonly BrokerEvent[], index: number, isIt: (event: BrokerEvent) => boolean) {
  return events
    .slice(0, index)
    .reverse()
    .find((event) => event.name === 'target' && isIt(event));
}

function isGrantOrEviction(event: BrokerEvent): boolean {
  return (
    (event.name === 'job' && event.data.change === 'granted') ||
    (event.name === 'target' && event.data.to === 'evicting')
  );
}

/** The first sample between the two times at which nearly all that will have come back has. */
function memoryBackAt(samples: readonly Sample[], from: number, to: number): number | null {
  const within = samples.filter(({ at }) => at >= from && at <= to + 50);
  const before = within[0]?.usedMib;
  const after = Math.min(...within.map(({ usedMib }) => usedMib));
  if (before === undefined || before - after < 1000) return null;
  return within.find(({ usedMib }) => usedMib <= before - 0.8 * (before - after))?.at ?? null;
}
