/** 8 clients, 500 mixed jobs, on a card half the size of all that wants to be on it. */
import type { PolicyName } from '../../src/core/vocabulary.js';
import { startComfyui } from '../../src/demo/services/comfyui.js';
import { startMvoice } from '../../src/demo/services/mvoice.js';
import { startOllama } from '../../src/demo/services/ollama.js';
import { startPlain } from '../../src/demo/services/plain.js';
import { startWhisperServer } from '../../src/demo/services/whisper-server.js';
import { PICTURE_REQUEST } from '../../src/demo/welcome.js';
import { type JobRequest, numbersFrom, type Outcome, runClients } from './clients.js';
import { type Member, openScene } from './scene.js';

const SPEED = 40;
const CLIENTS = 8;
const BOUND_MS = 10 * 60_000;
/** ollama's models 4,096 + 9,216 + 21,504, the voice 4,310, ears 2,200, the painter about 7,500, three plain ones. */
const ALL_MIB = 34_816 + 4_310 + 2_200 + 7_500 + 12_000;

export interface Runs {
  /** Runs take so many times what is declared of them. */
  readonly trueOver: number;
  /** Of the plain services. Too short for a reading to show what they take, if it is less than one takes itself. */
  readonly runMs: number;
}
export const AS_DECLARED: Runs = { trueOver: 1, runMs: 200 };

function members({ trueOver, runMs }: Runs): Record<string, Member> {
  const plain = (name: string, residentMib: number, runMib: number): Member => ({
    start: (card) => startPlain({ name, card, residentMib, runMib, contextMib: 600, loadMs: 20, runMs }),
    says: {
      health: '/health',
      unload: 'POST /unload',
      vram_resident_mib: residentMib,
      vram_run_mib: Math.floor(runMib / trueOver),
    },
  });
  return {
    ollama: { start: (card) => startOllama({ card, speed: SPEED }), says: { kind: 'ollama', vram_run_mib: 400 } },
    mvoice: {
      start: (card) => startMvoice({ card, speed: SPEED }),
      says: {
        health: '/health',
        unload: 'POST /unload',
        vram_resident_mib: 4_310,
        vram_run_mib: Math.floor(900 / trueOver),
      },
    },
    ears: {
      start: (card) => startWhisperServer({ card, speed: SPEED }),
      says: { kind: 'whisper-server', vram_resident_mib: 2_200, vram_run_mib: Math.floor(350 / trueOver) },
    },
    comfyui: {
      start: (card) => startComfyui({ card, speed: SPEED }),
      says: { kind: 'comfyui', vram_resident_mib: 7_500, vram_run_mib: Math.floor(2_400 / trueOver) },
    },
    cutter: plain('cutter', 3_000, 2_800),
    upscaler: plain('upscaler', 5_000, 5_600),
    // What it takes beyond its word is more than what is usually left over.
    stitcher: plain('stitcher', 4_000, 14_000),
  };
}

const chat = (model: string): JobRequest => ({
  path: '/consumers/ollama/api/chat',
  body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Why?' }], options: { num_predict: 4 } }),
});
const paint = (): JobRequest => {
  const graph = structuredClone(PICTURE_REQUEST);
  graph.prompt['5'].inputs.seed = Math.floor(Math.random() * 1e9);
  return { path: '/consumers/comfyui/prompt', body: JSON.stringify(graph) };
};
const JOBS: readonly (() => JobRequest)[] = [
  () => chat('llama3.2:3b'),
  () => chat('qwen3:8b'),
  () => chat('qwen3:32b'),
  () => ({ path: '/consumers/mvoice/v1/tts', body: '{"text":"Yes."}' }),
  paint,
  () => ({ path: '/consumers/cutter/run', body: '{}' }),
  () => ({ path: '/consumers/upscaler/run', body: '{}' }),
  () => ({ path: '/consumers/stitcher/run', body: '{}' }),
];

export interface CrowdResult extends Outcome {
  readonly policy: PolicyName;
  readonly cardMib: number;
  /** Times a service asked for more than the card had. */
  readonly refusedByCard: number;
  /** By the broker's own account; a picture's job ends long after its answer. */
  readonly ends: Readonly<Record<string, number>>;
  readonly outOfMemoryByTarget: Readonly<Record<string, number>>;
  readonly evictions: number;
  readonly stuck: number;
}

export async function runCrowd(policy: PolicyName, jobs: number, runs = AS_DECLARED): Promise<CrowdResult> {
  const cardMib = Math.floor(ALL_MIB / 2);
  const scene = await openScene({ totalMib: cardMib, policy, members: members(runs) });
  const random = numbersFrom(11);
  let given = 0;
  const outcome = await runClients(scene.url, CLIENTS, BOUND_MS, () => {
    given += 1;
    return given > jobs ? undefined : JOBS[Math.floor(random() * JOBS.length)]?.();
  });
  await scene.untilIdle();
  const ends: Record<string, number> = {};
  const outOfMemoryByTarget: Record<string, number> = {};
  let evictions = 0;
  let stuck = 0;
  for (const fact of scene.facts) {
    if (fact.type === 'out_of_memory') {
      const name = `${fact.target.consumer}${fact.target.model === null ? '' : `/${fact.target.model}`}`;
      outOfMemoryByTarget[name] = (outOfMemoryByTarget[name] ?? 0) + 1;
    }
    if (fact.type === 'job' && fact.change === 'ended') {
      const { end, code } = fact.job.outcome ?? { end: 'no outcome', code: null };
      const name = code === null ? end : `${end} ${code}`;
      ends[name] = (ends[name] ?? 0) + 1;
    }
    if (fact.type === 'target' && fact.reason.code === 'freed') evictions += 1;
    if (fact.type === 'target' && fact.to === 'stuck') stuck += 1;
  }
  const refusedByCard = scene.card.refusals.length;
  await scene.close();
  return { policy, cardMib, ...outcome, refusedByCard, ends, outOfMemoryByTarget, evictions, stuck };
}
