/**
 * A `Map` for what comes and goes by the thousand. V8 lets each table that a `Map` outgrew point to the next one: as
 * soon as one of them is old, all that pass through afterwards are kept, with everything they refer to, until the next
 * collection of old objects. A new `Map` now and then cuts that chain. Owns its entries, in the order they were added.
 */

/** More than a few hundred cost nothing to move; fewer would be moved too often. */
const RENEWED_AFTER = 1000;

export class TransientMap<Key, Value> {
  #entries = new Map<Key, Value>();
  #addedSinceRenewal = 0;

  get size(): number {
    return this.#entries.size;
  }

  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key);
  }

  /** Not while somebody iterates: he might go on with the entries as they were. */
  set(key: Key, value: Value): void {
    this.#addedSinceRenewal += 1;
    if (this.#addedSinceRenewal > RENEWED_AFTER + this.#entries.size) {
      this.#entries = new Map(this.#entries);
      this.#addedSinceRenewal = 0;
    }
    this.#entries.set(key, value);
  }

  /** Also while somebody iterates: he does not meet it any more. */
  delete(key: Key): boolean {
    return this.#entries.delete(key);
  }

  keys(): MapIterator<Key> {
    return this.#entries.keys();
  }

  values(): MapIterator<Value> {
    return this.#entries.values();
  }
}
