/**
 * One service behind the broker, as it is in truth: its process, what it has loaded, what it works on. It takes and
 * gives memory of the pretend cards, and lies, hangs and dies where its world's faults say so. It never calls the
 * broker; whoever asked it hears from it.
 */
import type { ConsumerAnswer } from '../src/core/events.js';
import type { ServicePlan } from './plan.js';
import { ServiceMemory } from './service-memory.js';
import { type Ears, type Request, type ServiceWorld, Works } from './service-works.js';

export type Said = (error: string | null) => void;

export class PretendService {
  readonly plan: ServicePlan;
  alive = true;
  /** Its unit was stopped: it does not come back by itself. */
  stopped = false;
  readonly #world: ServiceWorld;
  readonly #memory: ServiceMemory;
  readonly #works: Works;
  /** Everything scheduled in an earlier life of the process is void. */
  #life = 1;
  /** Which job of its unit is the newest: stopping a unit cancels a start of it that has not come to its end. */
  #unitJob = 0;

  constructor(plan: ServicePlan, world: ServiceWorld) {
    this.plan = plan;
    this.#world = world;
    this.#memory = new ServiceMemory(plan, world.cards);
    this.#works = new Works(plan, world, this.#memory, (delayMs, act) => this.#after(delayMs, act));
    if (plan.sort === 'start' || plan.sort === 'fixed') this.#memory.takeModel('');
  }

  /** Runs that an unload cut. */
  get cuts(): number {
    return this.#works.cuts;
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

  run(request: Request, ears: Ears | null): void {
    if (this.alive) this.#works.run(request, ears);
    else this.#world.timeline.after(2, () => ears?.failed('connection refused'));
  }

  /** The caller is gone. `over` when its work on the card is, or when it is believed to be. */
  abort(id: string, over: () => void): void {
    this.#works.abort(id, over);
  }

  // Loads, unloads

  load(model: string, said: Said): void {
    if (!this.alive) {
      this.#world.timeline.after(2, () => said('connection refused'));
      return;
    }
    const { faults } = this.#world;
    if (this.#memory.loaded.has(model)) this.#after(5, () => said(null));
    else if (faults.strikes('load_hangs')) this.#after(this.plan.loadMs / 3, () => this.#memory.takeModel(model));
    else if (faults.strikes('load_fails')) this.#after(this.plan.loadMs / 3, () => said('500 cannot load'));
    else {
      this.#after(this.plan.loadMs / 3, () => {
        if (this.#memory.takeModel(model, this.#works.loadedPart()))
          this.#after((this.plan.loadMs * 2) / 3, () => said(null));
        else {
          this.#memory.dropModel(model);
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
    if (this.plan.sort === 'images' && this.#works.isOn(model)) {
      this.#after(100, () => this.#leave(model));
      return;
    }
    this.#works.cut(model);
    this.#memory.dropModel(model);
  }

  // Its process

  die(): void {
    this.#life += 1;
    this.alive = false;
    this.#memory.giveAll();
    this.#works.loseAll();
  }

  /** false: there is no memory for what it loads at its start, it ends again. */
  revive(withModel: boolean): boolean {
    if (this.alive) return true;
    this.#life += 1;
    this.alive = true;
    const model = [...this.plan.sizes.keys()][0] ?? '';
    const loads = this.plan.sort === 'start' || this.plan.sort === 'fixed';
    if (!loads && !withModel) return true;
    if (this.#memory.takeModel(model)) return true;
    this.#memory.dropModel(model);
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
    const unitJob = this.#unitJob;
    timeline.after(hangs ? random.whole(5000, 30_000) : this.plan.startMs, () => {
      if (this.#unitJob !== unitJob) return;
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
    this.#unitJob += 1;
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
    const loaded = [...this.#memory.loaded].map((model) => ({
      model,
      mib: this.plan.sizes.get(model)?.residentMib ?? null,
    }));
    return {
      loaded: this.plan.sort === 'models' ? loaded : null,
      work: this.plan.sort === 'images' ? this.#works.size : null,
    };
  }
}
