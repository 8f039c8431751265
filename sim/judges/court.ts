/**
 * The judges, and what they may see: the world as it is in truth, the events the core was given, the commands and facts
 * that came out. They know the promises and not the code. The core's own books are read by one of them only, because
 * what it promises is about those books.
 */
import { policyOf } from '../../src/core/policies/registry.js';
import type { StepRecord } from '../daemon.js';
import type { World } from '../world.js';

export interface Judge {
  readonly name: string;
  see?(record: StepRecord): void;
  /** The daemon was killed and is there again: what was open is void. */
  reborn?(): void;
  finish?(): void;
}

export interface Bench {
  readonly world: World;
  complain(judge: string, text: string): void;
}

const MOST_COMPLAINTS = 20;

export class Court implements Bench {
  readonly world: World;
  readonly complaints: string[] = [];
  readonly #judges: readonly Judge[];
  #life = 1;

  constructor(world: World, judges: (bench: Bench) => readonly Judge[]) {
    this.world = world;
    this.#judges = judges(this);
  }

  /** Bound, because judges take it out of the bench. */
  readonly complain = (judge: string, text: string): void => {
    if (this.complaints.length >= MOST_COMPLAINTS) return;
    this.complaints.push(`${this.world.timeline.now} ${judge}: ${text}`);
  };

  see(record: StepRecord): void {
    if (this.world.daemon.life !== this.#life) {
      this.#life = this.world.daemon.life;
      for (const judge of this.#judges) judge.reborn?.();
    }
    for (const judge of this.#judges) judge.see?.(record);
  }

  finish(): void {
    for (const judge of this.#judges) judge.finish?.();
  }
}

/** What the policy in force promises. */
export function promisesOf(world: World): { readonly locks: boolean; readonly makesRoom: boolean } {
  return policyOf(world.daemon.settings.policy);
}
