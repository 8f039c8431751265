/**
 * The jobs that wait for a grant, first come first served, and which of them has waited longest in its class.
 * Owns the order; knows nothing of why somebody waits. All operations are O(1) but `positionOf`.
 */
import { TransientMap } from './transient-map.js';
import type { JobClass, JobId } from './vocabulary.js';

interface Queued {
  readonly id: JobId;
  readonly class: JobClass;
}

export class WaitingQueue<Job extends Queued> {
  // It iterates in insertion order and forgets in O(1): a mass disconnect stays linear.
  readonly #all = new TransientMap<JobId, Job>();
  readonly #byClass: Readonly<Record<JobClass, TransientMap<JobId, Job>>> = {
    interactive: new TransientMap(),
    normal: new TransientMap(),
    batch: new TransientMap(),
  };

  get size(): number {
    return this.#all.size;
  }

  push(job: Job): void {
    this.#all.set(job.id, job);
    this.#byClass[job.class].set(job.id, job);
  }

  /** Before everybody: O(n), for the rare job that had its turn already and must have it again. */
  pushFirst(job: Job): void {
    const others = [...this.#all.values()];
    for (const other of others) this.remove(other);
    for (const each of [job, ...others]) this.push(each);
  }

  remove(job: Job): boolean {
    this.#byClass[job.class].delete(job.id);
    return this.#all.delete(job.id);
  }

  first(): Job | undefined {
    return this.#all.values().next().value;
  }

  [Symbol.iterator](): IterableIterator<Job> {
    return this.#all.values();
  }

  /** The jobs of a class, in their order; whoever has left is not met any more. */
  ofClass(jobClass: JobClass): IterableIterator<Job> {
    return this.#byClass[jobClass].values();
  }

  /** From 1; null for a job that does not wait. */
  positionOf(id: JobId): number | null {
    let position = 0;
    for (const candidate of this.#all.keys()) {
      position += 1;
      if (candidate === id) return position;
    }
    return null;
  }
}
