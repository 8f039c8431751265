/**
 * Tells everybody who watches what the core recorded, and keeps the newest facts. Owns that bounded memory; decides
 * nothing.
 */
import type { Fact, TimedFact } from '../core/facts.js';
import type { MonotonicMs } from '../core/vocabulary.js';
import type { JournalPort, Log } from './ports.js';

const KEPT_FACTS = 1000;

export class Journal implements JournalPort {
  readonly #facts: TimedFact[] = [];
  readonly #listeners = new Set<(fact: TimedFact) => void>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  record(at: MonotonicMs, fact: Fact): void {
    const timed = { at, fact };
    // A sample every 2 s would push out what a person looks for; the newest reading is in the snapshot.
    if (fact.type !== 'gpu') this.#facts.push(timed);
    if (this.#facts.length > 2 * KEPT_FACTS) this.#facts.splice(0, this.#facts.length - KEPT_FACTS);
    for (const listener of this.#listeners) this.#tell(listener, timed);
  }

  /** A broken watcher must not stop the scheduler, nor the other watchers. */
  #tell(listener: (fact: TimedFact) => void, fact: TimedFact): void {
    try {
      listener(fact);
    } catch (error) {
      this.#log.error({ err: error, fact: fact.fact.type }, 'a watcher of the journal failed');
    }
  }

  recentFacts(): readonly TimedFact[] {
    return this.#facts.slice(-KEPT_FACTS);
  }

  subscribe(listener: (fact: TimedFact) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
