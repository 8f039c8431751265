/** Where each target stands, as the facts told it: what a watcher of the events would know. */
import type { Command } from '../../src/core/commands.js';
import { type Residency, targetName } from '../../src/core/vocabulary.js';

export class Residencies {
  readonly #known = new Map<string, Residency>();

  see(command: Command): void {
    if (command.type !== 'RecordFact' || command.fact.type !== 'target') return;
    this.#known.set(targetName(command.fact.target), command.fact.to);
  }

  /** `unknown` until something was told. */
  of(name: string): Residency {
    return this.#known.get(name) ?? 'unknown';
  }

  having(residency: Residency): string[] {
    return [...this.#known].filter(([, known]) => known === residency).map(([name]) => name);
  }

  forgetAll(): void {
    this.#known.clear();
  }

  /** Of a consumer that left the configuration. */
  forget(consumer: string): void {
    for (const name of this.#known.keys()) if (name.split('/')[0] === consumer) this.#known.delete(name);
  }
}
