/**
 * The jobs that wait for a grant, first come first served, and which of them has waited longest in its class.
 * Owns the order; knows nothing of why somebody waits. All operations are O(1) but `positionOf`.
 */
import { JOB_CLASSES, type JobClass, type JobId } from './vocabulary.js';

interface Queued {
  readonly id: JobId;
  readonly class: JobClass;
}

export class WaitingQueue<Job extends Queued> {
  // A Map iterates in insertion order and forgets in O(1): a mass disconnect stays linear.
  readonly #all = new Map<JobId, Job>();
  readonly #byClass: Readonly<Record<JobClass, Map<JobId, Job>>> = {
    interactive: new Map(),
    normal: new Map(),
    batch: new Map(),
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

  /** The job of a class that has waited longest. */
  oldestOf(jobClass: JobClass): Job | undefined {
    return this.#byClass[jobClass].values().next().value;
  }

  /** The same for each class that has one. */
  *oldestOfClasses(): Generator<Job> {
    for (const jobClass of JOB_CLASSES) {
      const oldest = this.oldestOf(jobClass);
      if (oldest !== undefined) yield oldest;
    }
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
