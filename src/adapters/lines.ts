/** Lines out of pieces that end anywhere. A line that is too long is given up, and with it every judgement. */

const LONGEST_LINE_BYTES = 1024 * 1024;
const LINE_FEED = 0x0a;

export class Lines {
  /** A line was too long to look at: what came by is not known in full. */
  gaveUp = false;
  #rest: Buffer[] = [];
  #restBytes = 0;

  /** The lines that this piece completes, without their ends. */
  *of(chunk: Buffer): Generator<string> {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1 && !this.gaveUp; end = chunk.indexOf(LINE_FEED, from)) {
      yield this.#complete(chunk.subarray(from, end));
      from = end + 1;
    }
    this.#keep(chunk.subarray(from));
  }

  /** What stands after the last line feed. */
  last(): string {
    return this.#complete(Buffer.alloc(0));
  }

  #complete(bytes: Buffer): string {
    const line = Buffer.concat([...this.#rest, bytes]).toString('utf8');
    this.#rest = [];
    this.#restBytes = 0;
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  }

  #keep(bytes: Buffer): void {
    this.#restBytes += bytes.length;
    if (this.#restBytes > LONGEST_LINE_BYTES) {
      this.gaveUp = true;
      this.#rest = [];
    } else if (bytes.length > 0 && !this.gaveUp) this.#rest.push(bytes);
  }
}
