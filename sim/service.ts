/**
 * One service behind the broker, as it is in truth: its process, what it has loaded, what it works on. It takes and
 * gives memory of the pretend cards, and lies, hangs and dies where its world's faults say so. It never calls the
 * broker; whoever asked it hears from it.
 */
import type { ConsumerAnswer } from '../src/core/events.js';
import type { Cards } from './cards.js';
import type { Faults } from './faults.js';
import type { ServicePlan } from './plan.js';
import type { Random } from './random.js';
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

export type Said = (error: string | null) => void;

export interface ServiceWorld {
  readonly timeline: Timeline;
  readonly cards: Cards;
  readonly faults: Faults;
  readonly random: Random;
}

export class PretendService {
  readonly plan: ServicePlan;
  readonly loaded = new Set<string>();
  alive = true;
  /** Its unit was stopped: it does not come back by itself. */
  stopped = false;
  /** Times that an unload cut somebody's running work. */
  cuts = 0;
  readonly #world: ServiceWorld;
  readonly #loading = new Set<string>();
  readonly #works = new Map<string, Work>();
  /** Everything scheduled in an earlier life of the process is void. */
  #life = 1;

  constructor(plan: ServicePlan, world: ServiceWorld) {
    this.plan = plan;
    this.#world = world;
    if (plan.sort === 'start' || plan.sort === 'fixed') this.#takeModel('');
  }

  get working(): number {
    return this.#works.size;
  }

  /** As long as its process lives. */
  #after(delayMs: number, act: () => void): void {
    const life = this.#life;
    this.#world.timeline.after(delayMs, () => {
      if (this.#life === life) act();
    });
  }

  // Memory

  #takeModel(model: string, part = 1): boolean {
    const { cards } = this.#world;
    const { id, contextMib } = this.plan;
    if (contextMib > 0 && cards.heldAs(id, 'context') === 0 && !this.#take('context', contextMib)) return false;
    const wholeMib = (this.plan.sizes.get(model)?.residentMib ?? 500) - contextMib;
    const missingMib = Math.round(wholeMib * part) - cards.heldAs(id, `model ${model}`);
    if (missingMib > 0 && !this.#take(`model ${model}`, missingMib)) return false;
    this.loaded.add(model);
    return true;
  }

  #take(label: string, mib: number): boolean {
    return this.#world.cards.take(this.plan.id, label, this.plan.cards, mib);
  }

  #dropModel(model: string): void {
    const { cards } = this.#world;
    this.loaded.delete(model);
    cards.give(this.plan.id, `model ${model}`);
    if (this.loaded.size === 0) cards.give(this.plan.id, 'kept');
  }

  heldMib(): number {
    return this.#world.cards.heldBy(this.plan.id);
  }

  // Runs

  run(request: Request, ears: Ears | null): void {
    if (!this.alive) {
      this.#world.timeline.after(2, () => ears?.failed('connection refused'));
      return;
    }
    const work: Work = { request, ears, begun: false, over: false };
    this.#works.set(request.id, work);
    if (this.plan.sort === 'images') {
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
    if (this.loaded.has(model)) {
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
      this.#after(this.plan.loadMs / 3, () => this.#finish(work, (ears) => ears.failed('500 cannot load')));
      return;
    }
    this.#loading.add(model);
    this.#after(this.plan.loadMs / 3, () => this.#loadFor(work));
  }

  #loadFor(work: Work): void {
    const { model } = work.request;
    const part = this.#loadedPart();
    const taken = this.#takeModel(model, part);
    if (!taken) {
      this.#loading.delete(model);
      this.#dropModel(model);
      this.#finish(work, (ears) => ears.outOfMemory());
      return;
    }
    this.#after((this.plan.loadMs * 2) / 3, () => {
      this.#loading.delete(model);
      if (!work.over) this.#compute(work);
    });
  }

  #loadedPart(): number {
    if (this.#world.faults.strikes('load_shows_less')) return 0.5;
    return this.#world.faults.strikes('load_shows_more') ? 1.3 : 1;
  }

  #compute(work: Work): void {
    const { request } = work;
    const { faults } = this.#world;
    const runMib = this.plan.sizes.get(request.model)?.runMib ?? 200;
    if (!this.#takeModel(request.model) || !this.#takeRun(request.id, runMib)) {
      this.#finish(work, (ears) => ears.outOfMemory());
      return;
    }
    if (request.streams && this.plan.sort !== 'images') this.#after(10, () => this.#sayFirstByte(work));
    if (work.ears !== null && faults.strikes('run_hangs')) return;
    const peaks = faults.strikes('job_peaks');
    this.#after(request.runMs / 2, () => {
      if (work.over || !peaks || this.#takeRun(request.id, 2 * runMib + 1500)) return;
      this.#finish(work, (ears) => ears.outOfMemory());
    });
    this.#after(request.runMs, () => {
      this.#sayFirstByte(work);
      this.#finish(work, (ears) => ears.done());
    });
  }

  #takeRun(id: string, mib: number): boolean {
    if (!this.plan.keepsRuns) return this.#take(`run ${id}`, mib);
    const missingMib = mib - this.#world.cards.heldAs(this.plan.id, 'kept');
    return missingMib <= 0 || this.#take('kept', missingMib);
  }

  #sayFirstByte(work: Work): void {
    if (!work.over && this.plan.sort !== 'images') work.ears?.firstByte();
  }

  #finish(work: Work, tell: (ears: Ears) => void): void {
    if (work.over) return;
    work.over = true;
    this.#works.delete(work.request.id);
    this.#world.cards.give(this.plan.id, `run ${work.request.id}`);
    if (work.ears !== null) tell(work.ears);
    if (this.plan.sort === 'images') this.#beginNext();
    if (this.#world.faults.strikes('unload_was_before')) this.#leaveByItself(work.request.model);
  }

  #leaveByItself(model: string): void {
    if (this.plan.sort === 'start' || this.plan.sort === 'fixed') return;
    this.#after(this.#world.random.whole(50, 3000), () => {
      if (this.#works.size === 0) this.#dropModel(model);
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
    const endsMs = random.whole(5, 400);
    this.#world.timeline.after(deafMs ?? endsMs, () => {
      this.#finish(work, () => {});
      if (deafMs === null) over();
    });
    if (deafMs !== null) this.#world.timeline.after(endsMs, over);
  }

  // Loads, unloads

  load(model: string, said: Said): void {
    if (!this.alive) {
      this.#world.timeline.after(2, () => said('connection refused'));
      return;
    }
    const { faults } = this.#world;
    if (this.loaded.has(model)) this.#after(5, () => said(null));
    else if (faults.strikes('load_hangs')) this.#after(this.plan.loadMs / 3, () => this.#takeModel(model));
    else if (faults.strikes('load_fails')) this.#after(this.plan.loadMs / 3, () => said('500 cannot load'));
    else {
      this.#after(this.plan.loadMs / 3, () => {
        if (this.#takeModel(model, this.#loadedPart())) this.#after((this.plan.loadMs * 2) / 3, () => said(null));
        else {
          this.#dropModel(model);
          said('500 CUDA out of memory');
        }
      });
    }
  }

  unload(model: string, said: Said): void {
    if (!this.alive) {
      this.#world.timeline.after(2, () => said('connection refused'));
      return;
    }
    const { faults, random } = this.#world;
    if (faults.strikes('unload_hangs')) {
      if (random.chance(0.5)) this.#after(random.whole(1000, 8000), () => this.#leave(model));
    } else if (faults.strikes('unload_refused')) this.#after(10, () => said('500 no'));
    else if (faults.strikes('unload_lies')) this.#after(10, () => said(null));
    else this.#unloadTruly(model, said);
  }

  #unloadTruly(model: string, said: Said): void {
    const { faults, random } = this.#world;
    const asynchronous = this.plan.sort === 'images' || this.plan.sort === 'models';
    const lateMs = faults.strikes('unload_late') ? random.whole(100, 5000) : asynchronous ? random.whole(20, 600) : 0;
    this.#after(this.plan.unloadMs, () => {
      if (lateMs === 0) this.#leave(model);
      said(null);
    });
    if (lateMs > 0) this.#after(this.plan.unloadMs + lateMs, () => this.#leave(model));
  }

  /** ComfyUI frees when it is idle; everybody else cuts what runs. */
  #leave(model: string): void {
    const running = [...this.#works.values()].filter((work) => work.request.model === model);
    if (running.length > 0 && this.plan.sort === 'images') {
      this.#after(100, () => this.#leave(model));
      return;
    }
    for (const work of running) {
      if (work.ears !== null) this.cuts += 1;
      this.#finish(work, (ears) => ears.failed('cut by an unload'));
    }
    this.#dropModel(model);
  }

  // Its process

  die(): void {
    this.#life += 1;
    this.alive = false;
    this.loaded.clear();
    this.#loading.clear();
    this.#world.cards.giveAll(this.plan.id);
    const works = [...this.#works.values()];
    this.#works.clear();
    for (const work of works) {
      work.over = true;
      if (work.ears !== null) work.ears.failed('connection reset');
    }
  }

  /** false: there is no memory for what it loads at its start, it ends again. */
  revive(withModel: boolean): boolean {
    if (this.alive) return true;
    this.#life += 1;
    this.alive = true;
    const model = [...this.plan.sizes.keys()][0] ?? '';
    const loads = this.plan.sort === 'start' || this.plan.sort === 'fixed';
    if (!loads && !withModel) return true;
    if (this.#takeModel(model)) return true;
    this.#dropModel(model);
    if (loads) this.die();
    return this.alive;
  }

  /** By its unit. */
  start(said: Said): void {
    const { timeline, faults, random } = this.#world;
    if (faults.strikes('unit_fails')) {
      timeline.after(200, () => said('unit failed'));
      return;
    }
    const hangs = faults.strikes('unit_hangs');
    timeline.after(hangs ? random.whole(5000, 30_000) : this.plan.startMs, () => {
      this.stopped = false;
      const runs = this.revive(false);
      if (!hangs) said(runs ? null : 'not healthy: CUDA out of memory at its start');
    });
  }

  stop(said: Said): void {
    const { timeline, faults, random } = this.#world;
    if (faults.strikes('unit_fails')) {
      timeline.after(200, () => said('unit would not stop'));
      return;
    }
    const hangs = faults.strikes('unit_hangs');
    timeline.after(hangs ? random.whole(5000, 30_000) : random.whole(50, 800), () => {
      this.stopped = true;
      if (this.alive) this.die();
      if (!hangs) said(null);
    });
  }

  /** null: it does not answer. */
  answer(): ConsumerAnswer | null {
    if (!this.alive) return null;
    const loaded = [...this.loaded].map((model) => ({ model, mib: this.plan.sizes.get(model)?.residentMib ?? null }));
    return {
      loaded: this.plan.sort === 'models' ? loaded : null,
      foreignWork: this.plan.sort === 'images' ? this.#works.size : null,
    };
  }
}
