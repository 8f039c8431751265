/** What the pretended daemon says in each state of the page, counted back from the moment a test asks. */
import { iso, type Line, nameOf, STORY_TARGETS, type StoryTarget, TOTAL_MIB, tellStory } from './page-story.js';
import type { Scene } from './pretend-plane.js';

const STORY_MS = 14 * 60_000;

interface Consumer {
  [key: string]: unknown;
  residency: string;
  health: string;
  health_error: string | null;
}

const KINDS: Readonly<Record<string, readonly [string, number]>> = {
  mvoice: ['http', 8766],
  'whisper-server': ['whisper-server', 8178],
  ollama: ['ollama', 11434],
  comfyui: ['comfyui', 8188],
};

function consumer(name: string, resident: ReadonlyMap<string, StoryTarget>, now: number): Consumer {
  const [kind, port] = KINDS[name] ?? ['http', 9000];
  const targets = STORY_TARGETS.filter((target) => target.consumer === name);
  const held = targets.filter((target) => resident.has(nameOf(target)));
  const models = targets.flatMap((target, index) =>
    target.model === null
      ? []
      : [
          {
            name: target.model,
            ...residency(resident.has(nameOf(target)) ? target.mib : null),
            gpu_resident_source: resident.has(nameOf(target)) ? 'learned' : null,
            last_used_at: iso(now - 41_000 * (index + 1)),
          },
        ],
  );
  const mib = held.reduce((sum, target) => sum + target.mib, 0) + (models.length > 0 && held.length > 0 ? 420 : 0);
  return {
    kind,
    url: `http://127.0.0.1:${port}`,
    cards: [0],
    health: 'up',
    health_error: null,
    checked_at: iso(now - 2000),
    ...residency(held.length > 0 ? mib : null),
    active: 0,
    queued: 0,
    total_requests: 31,
    failed_requests: 0,
    last_used_at: iso(now - 64_000),
    run_p50_ms: (targets[0]?.runMs ?? 1000) * 0.9,
    run_p95_ms: (targets[0]?.runMs ?? 1000) * 1.4,
    models,
  };
}

function residency(mib: number | null) {
  return {
    loaded: mib !== null,
    residency: mib === null ? 'absent' : 'resident',
    gpu_resident_mib: mib,
    gpu_resident_source: mib === null ? null : 'measured',
    pinned: false,
  };
}

export interface Told extends Scene {
  readonly consumers: Record<string, Consumer>;
  readonly history: Line[];
}

/** All four there, nothing runs, a quarter of an hour behind it. */
export function calm(now: number): Told {
  const story = tellStory(now, STORY_MS);
  const consumers = Object.fromEntries(Object.keys(KINDS).map((name) => [name, consumer(name, story.resident, now)]));
  const gpu: Record<string, unknown> = {
    source: 'nvidia-smi',
    sampled_at: iso(now - 800),
    age_ms: 800,
    error: null,
    reserve_mib: 512,
    cards: [
      {
        index: 0,
        uuid: 'GPU-0',
        name: 'NVIDIA GeForce RTX 4080 SUPER',
        total_mib: TOTAL_MIB,
        used_mib: story.usedMib + 420,
        free_mib: TOTAL_MIB - story.usedMib - 420,
        driver_reserved_mib: 380,
        foreign_mib: 610,
        claimed_mib: 0,
        utilization_pct: 3,
        temperature_c: 47,
        power_w: 31.5,
      },
    ],
  };
  const status = {
    version: '0.1.0',
    started_at: iso(now - 5 * 3_600_000),
    uptime_s: 5 * 3600,
    policy: 'vram-lru',
    state: 'ready',
    config: { file: '~/.config/mgpumanager/consumers.yaml', loaded_at: iso(now - 5 * 3_600_000), error: null },
    gpu,
    scheduler: {
      queue_depth: 0,
      in_flight: 0,
      total_jobs: 118,
      last_wait_ms: 12,
      last_run_ms: 1840,
      oldest_queued: null,
      evictions: 14,
      loads: 19,
    },
    consumers,
    jobs: [] as object[],
    jobs_omitted: 0,
  };
  return { status, consumers, gpu, history: [...story.records] };
}

export function job(id: string, changes: object): object {
  return {
    id,
    consumer: 'ollama',
    model: 'qwen3:8b',
    capability: 'llm',
    class: 'interactive',
    client: '100.101.1.7',
    state: 'waiting',
    answered: false,
    position: null,
    expected_wait_ms: null,
    reason: null,
    ...changes,
  };
}

/** ollama answers, three wait, each for something else. */
export function busy(now: number): Told {
  const told = calm(now);
  hold(told, 'ollama', { active: 1 });
  card(told, { claimed_mib: 900, utilization_pct: 97, temperature_c: 68, power_w: 287 });
  const since = (ms: number) => ({ queued_at: iso(now - ms), waited_ms: ms });
  told.status.jobs = [
    job('j_run1k3v9x2m7q1t5w8zb', { state: 'running', queued_at: iso(now - 9000), waited_ms: 1200 }),
    job('j_wai1k3v9x2m7q1t5w8zb', {
      ...since(21_000),
      consumer: 'comfyui',
      model: null,
      capability: 'image',
      class: 'batch',
      client: '127.0.0.1',
      position: 1,
      expected_wait_ms: 14_000,
      reason: {
        code: 'turn_busy',
        text: 'waiting for ollama/qwen3:8b, which has had the card for 8 s',
        holder: 'j_run1k3v9x2m7q1t5w8zb',
        waits_for: 'ollama/qwen3:8b',
      },
    }),
    job('j_wai2k3v9x2m7q1t5w8zb', {
      ...since(6000),
      consumer: 'whisper-server',
      model: null,
      capability: 'stt',
      client: '192.168.1.20',
      position: 2,
      expected_wait_ms: 40_000,
      reason: {
        code: 'behind',
        text: 'behind comfyui (j_wai1k3v9x2m7q1t5w8zb), for which room is being made',
        waits_for: 'comfyui',
      },
    }),
    job('j_wai3k3v9x2m7q1t5w8zb', {
      ...since(400),
      consumer: 'mvoice',
      model: null,
      capability: 'tts',
      client: '100.88.4.2',
      reason: { code: 'taking_in', text: 'its body is still coming' },
    }),
  ];
  Object.assign(told.status.scheduler as object, { queue_depth: 3, in_flight: 1 });
  return told;
}

const RELEASE = {
  code: 'unverified',
  text: 'waiting for mvoice to give back 4,310 MiB, for 3 s: needs 9,800 MiB, 960 MiB can be had now',
  waits_for: 'mvoice',
  need_mib: 9800,
  free_mib: 960,
};

export function evicting(now: number): Told {
  const told = busy(now);
  const held = [...STORY_TARGETS].find(({ consumer: name }) => name === 'mvoice');
  hold(told, 'mvoice', { residency: 'evicting', gpu_resident_mib: held?.mib ?? 0, gpu_resident_source: 'measured' });
  card(told, { claimed_mib: 0, utilization_pct: 2, temperature_c: 58, power_w: 64 });
  const [, first, ...others] = told.status.jobs as object[];
  told.status.jobs = [{ ...first, expected_wait_ms: 3000, reason: RELEASE }, ...others];
  Object.assign(told.status.scheduler as object, { in_flight: 0 });
  told.history.push(
    line(now - 3000, 'target', {
      target: 'mvoice',
      from: 'resident',
      to: 'evicting',
      reason: {
        code: 'evicted_for',
        text: 'evicted for j_wai1k3v9x2m7q1t5w8zb (comfyui), which needs 9,800 MiB where 2,100 MiB can be had; it was idle for 64 s',
      },
    }),
  );
  hold(told, 'ollama', { active: 0 });
  return told;
}

export function stuck(now: number): Told {
  const told = evicting(now);
  hold(told, 'mvoice', { residency: 'stuck', loaded: true });
  const [first, ...others] = told.status.jobs as object[];
  const text =
    'no room that we could make: needs 9,800 MiB, 960 MiB can be had now; held by mvoice 4,310 MiB; given up in 24 s';
  told.status.jobs = [
    { ...first, expected_wait_ms: null, reason: { ...RELEASE, code: 'no_room', text } },
    ...others.map((each) => ({ ...each, expected_wait_ms: null })),
  ];
  told.history.push(
    line(now - 1000, 'target', {
      target: 'mvoice',
      from: 'evicting',
      to: 'stuck',
      reason: {
        code: 'failed',
        message: '',
        text: 'asked twice to leave, 0 of 4,310 MiB came back; tried again in 5 s',
      },
    }),
  );
  return told;
}

export function outOfMemory(now: number): Told {
  const told = busy(now);
  told.history.push(
    line(now - 40_000, 'out_of_memory', {
      job: 'j_oom1k3v9x2m7q1t5w8zb',
      target: 'comfyui',
      message:
        'CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 15.99 GiB of which 1.06 GiB is free.',
    }),
    line(now - 38_000, 'job', {
      change: 'ended',
      job: job('j_oom1k3v9x2m7q1t5w8zb', {
        consumer: 'comfyui',
        model: null,
        capability: 'image',
        state: 'ended',
        queued_at: iso(now - 71_000),
        granted_at: iso(now - 66_000),
        ended_at: iso(now - 38_000),
        end: 'failed',
        code: 'gpu_out_of_memory',
        message: 'comfyui ran out of GPU memory twice; its footprint was raised to 11,400 MiB',
        reasons: [{ at: iso(now - 71_000), code: 'turn_busy', text: 'waiting for ollama/qwen3:8b' }],
      }),
    }),
  );
  return told;
}

export function draining(now: number): Told {
  const told = busy(now);
  told.status.state = 'draining';
  told.status.jobs = (told.status.jobs as object[]).slice(0, 1);
  told.history.push(line(now - 20_000, 'operator', { action: 'drain', by: '100.101.1.7' }));
  return told;
}

export function stale(now: number): Told {
  const told = calm(now);
  Object.assign(told.gpu, {
    sampled_at: iso(now - 42_000),
    age_ms: 42_000,
    error: 'nvidia-smi gave no answer within 10 s; it hangs in the driver (state D)',
  });
  card(told, { used_mib: null, free_mib: null, driver_reserved_mib: null, foreign_mib: null, utilization_pct: null });
  card(told, { temperature_c: null, power_w: null });
  return {
    ...told,
    history: told.history.filter((each) => each.event !== 'gpu' || Date.parse(each.at) < now - 42_000),
  };
}

export function consumerDown(now: number): Told {
  const told = calm(now);
  const error = 'connection refused at 127.0.0.1:8766';
  hold(told, 'mvoice', {
    health: 'down',
    health_error: error,
    residency: 'unknown',
    gpu_resident_mib: null,
    failed_requests: 2,
  });
  told.history.push(line(now - 100_000, 'consumer', { consumer: 'mvoice', health: 'down', health_error: error }));
  return told;
}

export function empty(now: number): Told {
  const told = calm(now);
  for (const name of Object.keys(told.consumers)) delete told.consumers[name];
  Object.assign(told.gpu, { source: null, sampled_at: null, age_ms: null, cards: [] });
  Object.assign(told.gpu, { error: 'nvidia-smi is not installed: no such program in the PATH' });
  Object.assign(told.status.scheduler as object, { total_jobs: 0 });
  return { ...told, history: [line(now - 30_000, 'daemon', { change: 'started' })] };
}

export const line = (at: number, event: string, fields: object): Line => ({ at: iso(at), event, ...fields });

function hold(told: Told, name: string, changes: object): void {
  Object.assign(told.consumers[name] ?? {}, changes);
}

function card(told: Told, changes: object): void {
  const { cards } = told.gpu;
  if (Array.isArray(cards)) Object.assign(cards[0], changes);
}
