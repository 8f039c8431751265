/**
 * What can go wrong, by name; which of it goes wrong in one world (its mix); and how often it did. A fault strikes with
 * a probability of its own whenever there is an occasion, until the world has calmed down.
 */
import type { Random } from './random.js';

/** Probability per occasion; the occasions are the places in the world that ask. */
export const FAULTS = {
  load_fails: 0.35,
  load_hangs: 0.25,
  load_shows_less: 0.3,
  load_shows_more: 0.3,
  unload_lies: 0.5,
  unload_hangs: 0.4,
  unload_refused: 0.5,
  unload_late: 0.6,
  unload_was_before: 0.3,
  unit_fails: 0.5,
  unit_hangs: 0.4,
  reading_late: 0.05,
  reading_missing: 0.04,
  reading_absurd: 0.04,
  reading_words: 0.04,
  list_empty: 0.05,
  list_partial: 0.05,
  death: 0.2,
  strangers: 0.4,
  /** True runs are 40 % above what is declared. */
  hungry: 1,
  job_peaks: 0.15,
  client_leaves: 0.4,
  run_hangs: 0.12,
  clock_forward: 1,
  clock_backward: 1,
  config_changes: 1,
  daemon_killed: 1,
  flood: 1,
  foreign_work: 0.8,
  operators: 0.6,
  /** Nothing is declared: sizes are assumed, then learned. */
  sizes_unknown: 1,
  /** The work of a job that was broken off goes on longer than anybody was told. */
  work_goes_on: 0.5,
  silence: 0.4,
} as const;

export type FaultName = keyof typeof FAULTS;
export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];

/** Every single fault, every pair, and now and then none or all: by seed, so that a row of seeds covers them. */
export function mixOfSeed(seed: number): FaultName[] {
  const count = FAULT_NAMES.length;
  const pairs = (count * (count - 1)) / 2;
  const turn = seed % (pairs + 3 * count + 40);
  if (turn < 30) return [];
  if (turn < 40) return [...FAULT_NAMES];
  if (turn < 40 + 3 * count) return [FAULT_NAMES[(turn - 40) % count] ?? 'death'];
  return pairOf(turn - 40 - 3 * count);
}

function pairOf(index: number): FaultName[] {
  let rest = index;
  for (let first = 0; first < FAULT_NAMES.length; first++) {
    const partners = FAULT_NAMES.length - 1 - first;
    if (rest < partners) return [FAULT_NAMES[first] ?? 'death', FAULT_NAMES[first + 1 + rest] ?? 'death'];
    rest -= partners;
  }
  throw new Error(`there is no pair ${index}`);
}

/** `none`, `all`, or names joined by `+`. */
export function parseMix(text: string): FaultName[] {
  if (text === 'none') return [];
  if (text === 'all') return [...FAULT_NAMES];
  return text.split('+').map((name) => {
    const known = FAULT_NAMES.find((fault) => fault === name);
    if (known === undefined) throw new Error(`no fault is called ${name}; there are: ${FAULT_NAMES.join(', ')}`);
    return known;
  });
}

export function mixName(mix: readonly FaultName[]): string {
  if (mix.length === 0) return 'none';
  return mix.length === FAULT_NAMES.length ? 'all' : mix.join('+');
}

/** The faults of one world: asked at every occasion, counts what it let happen. */
export class Faults {
  readonly counts = new Map<FaultName, number>();
  readonly #mix: ReadonlySet<FaultName>;
  readonly #random: Random;
  calm = false;

  constructor(mix: readonly FaultName[], random: Random) {
    this.#mix = new Set(mix);
    this.#random = random;
  }

  has(name: FaultName): boolean {
    return this.#mix.has(name);
  }

  hasOnly(allowed: readonly FaultName[]): boolean {
    return [...this.#mix].every((name) => allowed.includes(name));
  }

  strikes(name: FaultName): boolean {
    if (this.calm || !this.#mix.has(name) || !this.#random.chance(FAULTS[name])) return false;
    this.note(name);
    return true;
  }

  note(name: FaultName): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}
