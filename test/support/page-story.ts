/**
 * A quarter of an hour on a card that four services share, as records of history: loads, evictions, waits and runs.
 * The same seed tells the same story, so that pictures can be compared.
 */

export interface StoryTarget {
  readonly consumer: string;
  readonly model: string | null;
  readonly capability: string;
  readonly mib: number;
  readonly loadMs: number;
  readonly runMs: number;
}

export const STORY_TARGETS: readonly StoryTarget[] = [
  { consumer: 'mvoice', model: null, capability: 'tts', mib: 4310, loadMs: 4000, runMs: 2200 },
  { consumer: 'whisper-server', model: null, capability: 'stt', mib: 3420, loadMs: 3000, runMs: 3800 },
  { consumer: 'ollama', model: 'llama3.2:3b', capability: 'llm', mib: 3100, loadMs: 3500, runMs: 6000 },
  { consumer: 'ollama', model: 'qwen3:8b', capability: 'llm', mib: 6100, loadMs: 6500, runMs: 11_000 },
  { consumer: 'comfyui', model: null, capability: 'image', mib: 9800, loadMs: 14_000, runMs: 24_000 },
];

export const TOTAL_MIB = 16_376;
const DRIVER_MIB = 380;
const FOREIGN_MIB = 610;
const CLIENTS = ['100.101.1.7', '127.0.0.1', '192.168.1.20', '100.88.4.2'];

export type Line = { readonly at: string; readonly event: string } & Readonly<Record<string, unknown>>;

export interface Story {
  readonly records: readonly Line[];
  /** What is resident at its end, by target name. */
  readonly resident: ReadonlyMap<string, StoryTarget>;
  readonly usedMib: number;
}

export const nameOf = ({ consumer, model }: StoryTarget): string =>
  model === null ? consumer : `${consumer}/${model}`;
export const iso = (at: number): string => new Date(at).toISOString();

/** Knuth's linear congruential generator (MMIX): good enough for a story. */
function dice(seed: number): () => number {
  let state = BigInt(seed);
  return () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) % 2n ** 64n;
    return Number(state >> 33n) / 2 ** 31;
  };
}

export function tellStory(until: number, lengthMs: number, seed = 7): Story {
  const random = dice(seed);
  const records: Line[] = [];
  const resident = new Map<string, StoryTarget>();
  let at = until - lengthMs;
  let numbered = 0;
  const used = () => DRIVER_MIB + FOREIGN_MIB + [...resident.values()].reduce((mib, target) => mib + target.mib, 0);
  const tell = (event: string, fields: object) => records.push({ at: iso(at), event, ...fields });
  const read = () => tell('gpu', { cards: [cardLine(used(), random)] });
  const move = (target: string, from: string, to: string, code: string, text: string) =>
    tell('target', { target, from, to, reason: { code, text } });

  tell('daemon', { change: 'started', version: '0.1.0' });
  read();
  while (at < until - 30_000) {
    const target = STORY_TARGETS[Math.floor(random() ** 1.3 * STORY_TARGETS.length)] ?? STORY_TARGETS[0];
    if (target === undefined) break;
    const name = nameOf(target);
    numbered += 1;
    const id = `j_${String(numbered).padStart(4, '0')}${'k3v9x2m7q1t5w8zb'}`;
    const queuedAt = at - Math.floor(random() * 9000);
    const reasons = [{ at: iso(queuedAt), code: 'turn_busy', text: 'waiting for its turn behind another job' }];
    for (const [other, held] of resident) {
      if (resident.has(name) || used() + target.mib <= TOTAL_MIB - 512) break;
      resident.delete(other);
      const need = `needs ${target.mib.toLocaleString('en-US')} MiB`;
      move(other, 'resident', 'evicting', 'evicted_for', `evicted for ${id} (${name}), which ${need}`);
      reasons.push({ at: iso(at), code: 'unverified', text: `waiting for ${other} to give back ${held.mib} MiB` });
      at += 900 + random() * 900;
      move(other, 'evicting', 'absent', 'freed', `left after 1 s: ${held.mib} MiB came back (seen in a reading)`);
      read();
    }
    const grantedAt = at;
    let firstByteAt = at + 200;
    if (!resident.has(name)) {
      move(name, 'absent', 'loading', 'loaded_for', `loaded for ${id}`);
      at += target.loadMs * (0.8 + random() * 0.4);
      resident.set(name, target);
      move(name, 'loading', 'resident', 'ready', `in VRAM after ${Math.round(target.loadMs / 1000)} s`);
      read();
      firstByteAt = at;
    }
    at += target.runMs * (0.5 + random());
    tell('job', {
      change: 'ended',
      job: {
        id,
        consumer: target.consumer,
        model: target.model,
        capability: target.capability,
        class: target.capability === 'image' ? 'batch' : 'interactive',
        client: CLIENTS[numbered % CLIENTS.length],
        queued_at: iso(queuedAt),
        granted_at: iso(grantedAt),
        first_byte_at: iso(firstByteAt),
        ended_at: iso(at),
        end: 'done',
        reasons,
      },
    });
    read();
    at += random() * 9000;
  }
  at = until - 1000;
  read();
  return { records: withQuietReadings(records), resident, usedMib: used() };
}

export function cardLine(usedMib: number, random: () => number = () => 0.5) {
  return {
    index: 0,
    used_mib: usedMib,
    total_mib: TOTAL_MIB,
    utilization_pct: Math.round(40 + random() * 55),
    temperature_c: Math.round(52 + random() * 12),
    power_w: Math.round(120 + random() * 90),
  };
}

/** A still card is told every 10 s, as the daemon does. */
function withQuietReadings(records: readonly Line[]): Line[] {
  const filled: Line[] = [];
  let reading: Line | null = null;
  let told = 0;
  for (const record of records) {
    const at = Date.parse(record.at);
    while (reading !== null && told + 10_000 < at) {
      told += 10_000;
      filled.push({ ...reading, at: iso(told) });
    }
    filled.push(record);
    if (record.event !== 'gpu') continue;
    reading = record;
    told = at;
  }
  return filled;
}
