/**
 * Bytes that wait for a slow reader, first in, first out. Owns their memory, which goes back to the system as soon as
 * the reader has it: pieces as they come from a socket stay until the garbage collector looks at old objects, and it
 * looks after as many bytes again.
 */

const BLOCK_BYTES = 1024 * 1024;
/** What waits so briefly that nobody collects it late is not worth copying. */
const KEPT_AS_IT_CAME_BYTES = 1024 * 1024;
/** As much as one read of a socket brings: so often the reader's progress is seen. */
const PIECE_BYTES = 64 * 1024;

interface Block {
  readonly memory: ArrayBuffer;
  readonly bytes: Buffer;
  filledBytes: number;
  takenBytes: number;
  flushedBytes: number;
}

export interface BacklogPiece {
  readonly bytes: Buffer;
  /** To be called when the system has it, or when nobody will want it any more. */
  readonly flushed: () => void;
}

const keep = (): void => {};

export class Backlog {
  readonly #waiting: (Buffer | Block)[] = [];
  #sizeBytes = 0;

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  push(chunk: Buffer): void {
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes <= KEPT_AS_IT_CAME_BYTES) this.#waiting.push(chunk);
    else this.#copy(chunk);
  }

  shift(): BacklogPiece | null {
    const [first] = this.#waiting;
    if (first === undefined) return null;
    if (Buffer.isBuffer(first)) {
      this.#waiting.shift();
      this.#sizeBytes -= first.length;
      return { bytes: first, flushed: keep };
    }
    const from = first.takenBytes;
    first.takenBytes = Math.min(first.filledBytes, from + PIECE_BYTES);
    if (first.takenBytes === first.filledBytes) this.#waiting.shift();
    const bytes = first.bytes.subarray(from, first.takenBytes);
    this.#sizeBytes -= bytes.length;
    return { bytes, flushed: () => giveBack(first, bytes.length) };
  }

  clear(): void {
    for (const each of this.#waiting.splice(0)) {
      if (!Buffer.isBuffer(each)) giveBack(each, each.filledBytes - each.takenBytes);
    }
    this.#sizeBytes = 0;
  }

  #copy(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const block = this.#blockWithRoom();
      const copiedBytes = chunk.copy(block.bytes, block.filledBytes, at);
      block.filledBytes += copiedBytes;
      at += copiedBytes;
    }
  }

  #blockWithRoom(): Block {
    const last = this.#waiting.at(-1);
    if (last !== undefined && !Buffer.isBuffer(last) && last.filledBytes < BLOCK_BYTES) return last;
    // One that can be resized is the only memory that a program can give back itself.
    const memory = new ArrayBuffer(BLOCK_BYTES, { maxByteLength: BLOCK_BYTES });
    const block = { memory, bytes: Buffer.from(memory), filledBytes: 0, takenBytes: 0, flushedBytes: 0 };
    this.#waiting.push(block);
    return block;
  }
}

/** Its pieces go out in order, so nothing of it is in use when as many bytes are flushed as it had. */
function giveBack(block: Block, flushedBytes: number): void {
  block.flushedBytes += flushedBytes;
  if (block.flushedBytes === block.filledBytes) block.memory.resize(0);
}
