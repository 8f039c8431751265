/**
 * What one service works on: requests from us and from others, each with its load, its run, its end. Takes and gives
 * memory as truth demands it; tells whoever asked. The process around it is `service.ts`.
 */
import type { Cards } from './cards.js';
import type { Faults } from './faults.js';
import type { ServicePlan } from './plan.js';
import type { Random } from './random.js';
import type { ServiceMemory } from './service-memory.js';
import type { Timeline } from './timeline.js';

export interface Request {
  readonly id: string;
  readonly model: string;
  readonly runMs: number;
  readonly streams: boolean;
}

/** Who asked for a run and hears of it. `null` ears: somebody who did not come through us. */
export interface Ears {
  firstByte(): void;
  /** The answer is complete, the work goes on. */
  answered(): void;
  done(): void;
  failed(message: string): void;
  outOfMemory(): void;
}

interface Work {
  readonly request: Request;
  readonly ears: Ears | null;
  begun: boolean;
  over: boolean;
}

export interface ServiceWorld {
  readonly timeline: Timeline;
  readonly cards: Cards;
  readonly faults: Faults;
  readonly random: Random;
}

export class Works {
  /** Times that an unload cut somebody's running work. */
  cuts = 0;
  readonly #plan: ServicePlan;
  readonly #world: ServiceWorld;
  readonly #memory: ServiceMemory;
  /** As long as its process lives. */
  readonly #after: (delayMs: number, act: () => void) => void;
  readonly #loading = new Set<string>();
  readonly #works = new Map<string, Work>();

  constructor(
    plan: ServicePlan,
    world: ServiceWorld,
    memory: ServiceMemory,
    after: (delayMs: number, act: () => void) => void,
  ) {
    this.#plan = plan;
    this.#world = world;
    this.#memory = memory;
    this.#after = after;
  }

  get size(): number {
    return this.#works.size;
  }

  run(request: Request, ears: Ears | null): void {
    const work: Work = { request, ears, begun: false, over: false };
    this.#works.set(request.id, work);
    if (this.#plan.sort === 'images') {
      this.#after(15, () => this.#accept(work));
      this.#beginNext();
    } else this.#begin(work);
  }

  #accept(work: Work): void {
    if (work.over) return;
    work.ears?.firstByte();
    work.ears?.answered();
  }

  /** Images are made one after another, whoever asked. */
  #beginNext(): void {
    const works = [...this.#works.values()];
    const first = works[0];
    if (first !== undefined && !first.begun) this.#begin(first);
  }

  #begin(work: Work): void {
    work.begun = true;
    const { model } = work.request;
    if (this.#memory.loaded.has(model)) {
      this.#compute(work);
      return;
    }
    if (this.#loading.has(model)) {
      this.#after(50, () => {
        if (!work.over) this.#begin(work);
      });
      return;
    }
    if (work.ears !== null && this.#world.faults.strikes('load_hangs')) return;
    if (this.#world.faults.strikes('load_fails')) {
      this.#after(this.#plan.loadMs / 3, () => this.#finish(work, (ears) => ears.failed('500 cannot load')));
      return;
    }
    this.#loading.add(model);
    this.#after(this.#plan.loadMs / 3, () => this.#loadFor(work));
  }

  #loadFor(work: Work): void {
    const { model } = work.request;
    const part = this.loadedPart();
    const taken = this.#memory.takeModel(model, part);
    if (!taken) {
      this.#loading.delete(model);
      this.#memory.dropModel(model);
      this.#finish(work, (ears) => ears.outOfMemory());
      return;
    }
    this.#after((this.#plan.loadMs * 2) / 3, () => {
      this.#loading.delete(model);
      if (!work.over) this.#compute(work);
    });
  }

  loadedPart(): number {
    if (this.#world.faults.strikes('load_shows_less')) return 0.5;
    return this.#world.faults.strikes('load_shows_more') ? 1.3 : 1;
  }

  #compute(work: Work): void {
    const { request } = work;
    const { faults } = this.#world;
    const runMib = this.#plan.sizes.get(request.model)?.runMib ?? 200;
    if (!this.#memory.takeModel(request.model) || !this.#memory.takeRun(request.id, runMib)) {
      this.#finish(work, (ears) => ears.outOfMemory());
      return;
    }
    if (request.streams && this.#plan.sort !== 'images') this.#after(10, () => this.#sayFirstByte(work));
    if (work.ears !== null && faults.strikes('run_hangs')) return;
    const peaks = faults.strikes('job_peaks');
    this.#after(request.runMs / 2, () => {
      if (work.over || !peaks || this.#memory.takeRun(request.id, 2 * runMib + 1500)) return;
      this.#finish(work, (ears) => ears.outOfMemory());
    });
    this.#after(request.runMs, () => {
      this.#sayFirstByte(work);
      this.#finish(work, (ears) => ears.done());
    });
  }

  #sayFirstByte(work: Work): void {
    if (!work.over && this.#plan.sort !== 'images') work.ears?.firstByte();
  }

  #finish(work: Work, tell: (ears: Ears) => void): void {
    if (work.over) return;
    work.over = true;
    this.#works.delete(work.request.id);
    this.#memory.giveRun(work.request.id);
    if (work.ears !== null) tell(work.ears);
    if (this.#plan.sort === 'images') this.#beginNext();
    if (this.#world.faults.strikes('unload_was_before')) this.#leaveByItself(work.request.model);
  }

  #leaveByItself(model: string): void {
    if (this.#plan.sort === 'start' || this.#plan.sort === 'fixed') return;
    this.#after(this.#world.random.whole(50, 3000), () => {
      if (this.#works.size === 0) this.#memory.dropModel(model);
    });
  }

  /** The caller is gone. `over` when its work on the card is, or when it is believed to be. */
  abort(id: string, over: () => void): void {
    const work = this.#works.get(id);
    if (work === undefined) {
      this.#world.timeline.after(5, over);
      return;
    }
    const { faults, random } = this.#world;
    const deafMs = faults.strikes('work_goes_on') ? random.whole(1000, 8000) : null;
    // A load that was begun is finished, whoever has left.
    const endsMs = this.#loading.has(work.request.model) ? this.#plan.loadMs : random.whole(5, 400);
    this.#world.timeline.after(deafMs ?? endsMs, () => {
      this.#finish(work, () => {});
      if (deafMs === null) over();
    });
    if (deafMs !== null) this.#world.timeline.after(endsMs, over);
  }

  isOn(model: string): boolean {
    return [...this.#works.values()].some((work) => work.request.model === model);
  }

  /** An unload in the middle of a run. */
  cut(model: string): void {
    for (const work of [...this.#works.values()].filter(({ request }) => request.model === model)) {
      if (work.ears !== null) this.cuts += 1;
      this.#finish(work, (ears) => ears.failed('cut by an unload'));
    }
  }

  /** Its process is gone. */
  loseAll(): void {
    this.#loading.clear();
    const works = [...this.#works.values()];
    this.#works.clear();
    for (const work of works) {
      work.over = true;
      work.ears?.failed('connection reset');
    }
  }
}
