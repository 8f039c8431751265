/**
 * An answer that is looked at before any of it goes out: an error of the consumer's can mean that the card's memory ran
 * out, and then the job may be tried once more. Held only while it is short and comes soon; owns the pieces until then.
 */

/** An error is a line or a page; what is longer is passed on as it is. */
const LONGEST_BYTES = 64 * 1024;
/** An error that trickles is passed on as it is. */
const HELD_AT_MOST_MS = 2000;

export class HeldAnswer {
  readonly #chunks: Buffer[] = [];
  readonly #timer: NodeJS.Timeout;
  #sizeBytes = 0;

  /** `tooMuch`: it is not to be held any longer. */
  constructor(tooMuch: () => void) {
    this.#timer = setTimeout(tooMuch, HELD_AT_MOST_MS);
  }

  /** False: it has grown too long to be held. */
  piece(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    return this.#sizeBytes <= LONGEST_BYTES;
  }

  /** It is all here, and held as long as whoever looks at it wants. */
  whole(): string {
    clearTimeout(this.#timer);
    return Buffer.concat(this.#chunks).toString('utf8');
  }

  /** The pieces as they came; nothing is held afterwards. */
  release(): Buffer[] {
    clearTimeout(this.#timer);
    return this.#chunks.splice(0);
  }
}
