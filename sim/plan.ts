/**
 * The world of one seed before it begins: its cards, its services with their true sizes, what the configuration says
 * of them, and the jobs that will come. Everything is drawn here, so that every policy meets the same world.
 */
import type { ConsumerSettings, DeclaredFootprint, Settings } from '../src/core/settings.js';
import { type ConsumerId, consumerId, JOB_CLASSES, type JobClass, type PolicyName } from '../src/core/vocabulary.js';
import type { FaultName } from './faults.js';
import { Random } from './random.js';

/**
 * `job`: loads by its job; `call`: has a load route; `start`: resident while its process runs, leaves by its unit only
 * (whisper-server); `models`: swaps models (ollama); `images`: answers before the work is done, frees when it gets
 * round to it, is used past us (ComfyUI); `fixed`: cannot be evicted.
 */
export type Sort = 'job' | 'call' | 'start' | 'models' | 'images' | 'fixed';

/** In truth, MiB. `residentMib` includes the context, but for models: each has a process of its own. */
export interface TrueSize {
  readonly residentMib: number;
  readonly runMib: number;
}

export interface ServicePlan {
  readonly id: ConsumerId;
  readonly sort: Sort;
  readonly cards: readonly number[];
  /** What its process keeps after it unloaded. */
  readonly contextMib: number;
  /** By model; `''` where it has none. */
  readonly sizes: ReadonlyMap<string, TrueSize>;
  /** Its allocator keeps what a run took until it unloads. */
  readonly keepsRuns: boolean;
  readonly loadMs: number;
  readonly unloadMs: number;
  readonly startMs: number;
  readonly settings: ConsumerSettings;
}

export interface PlannedJob {
  readonly at: number;
  readonly service: ConsumerId;
  readonly model: string;
  readonly class: JobClass;
  readonly uploadMs: number;
  readonly runMs: number;
  /** The first byte comes early; else with the end. */
  readonly streams: boolean;
}

export interface WorldPlan {
  readonly totalsMib: readonly number[];
  readonly driverMib: number;
  /** Whether the driver tells memory by process. */
  readonly list: boolean;
  readonly services: readonly ServicePlan[];
  readonly jobs: readonly PlannedJob[];
  readonly settings: Settings;
  /** From here on nothing new comes and nothing new goes wrong. */
  readonly calmAt: number;
}

const RESERVE_MIB = 512;
const HUNGRY = 1.4;

export interface PlanOptions {
  readonly seed: number;
  readonly policy: PolicyName;
  readonly mix: readonly FaultName[];
  /** Writes the configuration in another order: nothing may change. */
  readonly otherOrder?: boolean;
}

export function planWorld(options: PlanOptions): WorldPlan {
  const random = new Random(options.seed, 'plan');
  const cards = random.chance(0.25) ? 2 : 1;
  const totalMib = random.pick([16_000, 24_000, 24_564, 48_000]);
  const services = planServices(options, random, cards, totalMib);
  const jobs = planJobs(options, services);
  return {
    totalsMib: Array.from({ length: cards }, () => totalMib),
    driverMib: random.pick([0, 0, 380]),
    list: random.chance(0.7),
    services,
    jobs,
    settings: settingsOf(options, random, services),
    calmAt: Math.max(20_000, ...jobs.map((job) => job.at)) + random.whole(1000, 20_000),
  };
}

function planServices(options: PlanOptions, random: Random, cards: number, totalMib: number): ServicePlan[] {
  const sorts: Sort[] = ['job', 'call', 'start', 'models', 'images'];
  const chosen = random.shuffled(sorts).slice(0, random.whole(2, 5));
  if (random.chance(0.5)) chosen.push('job');
  if (random.chance(0.2)) chosen.push('fixed');
  const pinned = random.chance(0.2) ? random.whole(0, chosen.length - 1) : -1;
  // What stays whatever happens: contexts, a fixed or pinned service, the reserve, the driver's share.
  const lost =
    RESERVE_MIB + 1000 + chosen.length * 640 + (chosen.includes('fixed') ? 2000 : 0) + (pinned < 0 ? 0 : 3000);
  const ids = chosen.map((sort, index) => consumerId(`${sort}${index}`));
  return chosen.map((sort, index) =>
    planService(options, random, {
      id: ids[index] ?? consumerId(sort),
      sort,
      pinned: index === pinned && sort !== 'models',
      cards: cards === 1 ? [0] : random.pick([[0], [1], [0, 1]]),
      roomMib: totalMib - lost,
      neighbours: ids.filter((_, other) => other !== index && random.chance(0.15)),
    }),
  );
}

interface Outline {
  readonly id: ConsumerId;
  readonly sort: Sort;
  readonly pinned: boolean;
  readonly cards: readonly number[];
  readonly roomMib: number;
  readonly neighbours: readonly ConsumerId[];
}

function planService(options: PlanOptions, random: Random, outline: Outline): ServicePlan {
  const { id, sort, cards } = outline;
  const contextMib = sort === 'models' ? 0 : random.whole(200, 600);
  const models = sort === 'models' ? ['small', 'middle', 'large', 'odd'].slice(0, random.whole(2, 4)) : [''];
  const declared = new Map(models.map((model) => [model, sizeOf(random, outline, contextMib)]));
  const stretch = options.mix.includes('hungry') ? HUNGRY : 1;
  const sizes = new Map(
    [...declared].map(([model, { residentMib, runMib }]) => [
      model,
      { residentMib, runMib: Math.floor(runMib * stretch) },
    ]),
  );
  return {
    id,
    sort,
    cards,
    contextMib,
    sizes,
    keepsRuns: sort !== 'models' && sort !== 'fixed' && random.chance(0.25),
    loadMs: random.whole(200, 2500),
    unloadMs: random.whole(10, 300),
    startMs: random.whole(300, 2000),
    settings: consumerSettings(options, random, outline, declared),
  };
}

/** Each fits alone, its run grown by two fifths and counted twice; together they do not. */
function sizeOf(random: Random, { sort, pinned, cards, roomMib }: Outline, contextMib: number): TrueSize {
  const small = sort === 'fixed' ? 1400 : pinned ? 2200 : null;
  const wholeMib = small ?? Math.floor(roomMib * (0.2 + 0.75 * random.next()) * cards.length);
  const runMib = Math.floor((wholeMib * (0.05 + 0.2 * random.next())) / 2.8);
  return { residentMib: Math.max(contextMib + 200, Math.floor(wholeMib - 2.8 * runMib)), runMib };
}

function consumerSettings(
  options: PlanOptions,
  random: Random,
  outline: Outline,
  sizes: ReadonlyMap<string, TrueSize>,
): ConsumerSettings {
  const { id, sort } = outline;
  const none: DeclaredFootprint = { residentMib: null, runMib: null, pinned: outline.pinned };
  const said = (size: TrueSize | undefined, pinned: boolean): DeclaredFootprint =>
    size === undefined || options.mix.includes('sizes_unknown') ? { ...none, pinned } : { ...size, pinned };
  const unit = sort === 'start' || (sort !== 'fixed' && random.chance(0.4)) ? `${id}.service` : null;
  return {
    id,
    endpoint: `http://${id}`,
    cards: outline.cards,
    parallel: 1,
    declared: sort === 'models' ? none : said(sizes.get(''), outline.pinned),
    models: new Map(sort === 'models' ? [...sizes].map(([model, size]) => [model, said(size, false)]) : []),
    canCoexistWith: new Set(outline.neighbours),
    loads: sort === 'call' ? 'by_call' : sort === 'start' ? 'at_start' : 'by_job',
    unloadsByCall: sort !== 'start' && sort !== 'fixed',
    unit,
    start: unit !== null && random.chance(0.3) ? 'on-demand' : 'parked',
    swaps: sort === 'models' ? 'models' : 'consumer',
    asksForeignWork: sort === 'images',
    loadTimeoutMs: random.whole(8, 20) * 1000,
    unloadTimeoutMs: random.whole(6, 15) * 1000,
  };
}

export function settingsOf(options: PlanOptions, random: Random, services: readonly ServicePlan[]): Settings {
  const timeoutMs = random.pick([240_000, 540_000, null]);
  const ordered = options.otherOrder === true ? [...services].reverse() : services;
  return {
    policy: options.policy,
    queueMax: 300,
    queueTimeoutMs: { interactive: timeoutMs, normal: timeoutMs, batch: timeoutMs },
    noRoomMs: random.pick([10_000, 30_000]),
    reserveMib: RESERVE_MIB,
    totalMib: null,
    consumers: new Map(ordered.map((service) => [service.id, service.settings])),
  };
}

function planJobs({ seed, mix }: PlanOptions, services: readonly ServicePlan[]): PlannedJob[] {
  const random = new Random(seed, 'jobs');
  const jobs: PlannedJob[] = [];
  const gapMs = random.pick([30, 400, 2000]);
  let at = 500;
  for (let made = random.whole(8, 20); made > 0; made--) {
    at += Math.round(-Math.log(1 - random.next()) * gapMs);
    jobs.push(planJob(random, services, at, random.whole(100, 3000)));
  }
  const floodAt = random.whole(500, 5000);
  if (mix.includes('flood')) for (let made = 0; made < 1000; made++) jobs.push(planJob(random, services, floodAt, 20));
  return jobs;
}

function planJob(random: Random, services: readonly ServicePlan[], at: number, runMs: number): PlannedJob {
  const service = random.pick(services);
  return {
    at,
    service: service.id,
    model: random.pick([...service.sizes.keys()]),
    class: random.pick(JOB_CLASSES),
    uploadMs: runMs === 20 ? 0 : random.whole(0, 60),
    runMs,
    streams: random.chance(0.3),
  };
}
