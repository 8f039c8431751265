/** What one service's process holds of the pretend cards, by what it is for. Takes and gives; decides nothing. */
import type { Cards } from './cards.js';
import type { ServicePlan } from './plan.js';

export class ServiceMemory {
  readonly loaded = new Set<string>();
  readonly #plan: ServicePlan;
  readonly #cards: Cards;

  constructor(plan: ServicePlan, cards: Cards) {
    this.#plan = plan;
    this.#cards = cards;
  }

  /** false: there is not enough. `part` of a load that shows less or more than it should. */
  takeModel(model: string, part = 1): boolean {
    const { id, contextMib } = this.#plan;
    if (contextMib > 0 && this.#cards.heldAs(id, 'context') === 0 && !this.#take('context', contextMib)) return false;
    const wholeMib = (this.#plan.sizes.get(model)?.residentMib ?? 500) - contextMib;
    const missingMib = Math.round(wholeMib * part) - this.#cards.heldAs(id, `model ${model}`);
    if (missingMib > 0 && !this.#take(`model ${model}`, missingMib)) return false;
    this.loaded.add(model);
    return true;
  }

  /** Its context stays. */
  dropModel(model: string): void {
    this.loaded.delete(model);
    this.#cards.give(this.#plan.id, `model ${model}`);
    if (this.loaded.size === 0) this.#cards.give(this.#plan.id, 'kept');
  }

  takeRun(run: string, mib: number): boolean {
    if (!this.#plan.keepsRuns) return this.#take(`run ${run}`, mib);
    const missingMib = mib - this.#cards.heldAs(this.#plan.id, 'kept');
    return missingMib <= 0 || this.#take('kept', missingMib);
  }

  giveRun(run: string): void {
    this.#cards.give(this.#plan.id, `run ${run}`);
  }

  giveAll(): void {
    this.loaded.clear();
    this.#cards.giveAll(this.#plan.id);
  }

  #take(label: string, mib: number): boolean {
    return this.#cards.take(this.#plan.id, label, this.#plan.cards, mib);
  }
}
