/** An answer that is kept until it is whole, because it is told to the client in other words. Owns its pieces. */
import type { Budget } from './budget.js';

export class CollectedAnswer {
  readonly #mostBytes: number;
  readonly #memory: Budget;
  readonly #chunks: Buffer[] = [];
  #sizeBytes = 0;

  constructor(mostBytes: number, memory: Budget) {
    this.#mostBytes = mostBytes;
    this.#memory = memory;
  }

  /** False: it is longer than it may be. */
  piece(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    this.#memory.hold(chunk.length);
    return this.#sizeBytes <= this.#mostBytes;
  }

  body(): Buffer {
    const [first, second] = this.#chunks;
    return first !== undefined && second === undefined ? first : Buffer.concat(this.#chunks);
  }

  /** Nothing is kept afterwards; further calls do nothing. */
  release(): void {
    this.#chunks.length = 0;
    this.#memory.give(this.#sizeBytes);
    this.#sizeBytes = 0;
  }
}
