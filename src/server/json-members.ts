/**
 * Finds top-level members of a JSON object as its bytes come by, wherever they stand, without holding the body. As
 * `JSON.parse` does, the last of equal names wins. What is malformed gives whatever was found before, or nothing; it
 * never throws.
 */
import { type JsonScalar, JsonWalk } from './json-walk.js';

/** Longer values than this are nobody's name. */
const LONGEST_VALUE_BYTES = 1024;

export class MemberScanner {
  /** Objects and lists are not kept: a name that has one is absent. */
  readonly members = new Map<string, JsonScalar>();
  readonly #walk: JsonWalk;

  constructor(names: readonly string[]) {
    this.#walk = new JsonWalk({ deepest: 1, longestTextBytes: LONGEST_VALUE_BYTES }, ([name], _text, scalar) => {
      if (typeof name !== 'string' || !names.includes(name)) return;
      if (scalar === null) this.members.delete(name);
      else this.members.set(name, scalar);
    });
  }

  take(chunk: Buffer): void {
    this.#walk.take(chunk);
  }

  /** It is no object, so far: nothing was found. */
  get isHopeless(): boolean {
    return this.#walk.root !== 'object';
  }
}
