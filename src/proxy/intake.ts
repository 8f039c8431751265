/**
 * Takes one request's body in, whole, before its job queues: in memory up to 1 MiB, above that on disk. Owns the
 * bytes until they are released; says no before reading where the headers already show that there is no room.
 */
import type { IncomingMessage } from 'node:http';
import type { HeldBody } from '../adapters/translation.js';
import type { ErrorCode } from '../errors.js';
import type { Log } from '../runtime/ports.js';
import type { Budget } from './budget.js';
import { openSpoolFile, type SpoolFile } from './spool.js';
import { durationText } from './time-limits.js';

const IN_MEMORY_BYTES = 1024 * 1024;

export interface IntakeLimits {
  readonly memory: Budget;
  readonly spool: Budget;
  readonly spoolFolder: string;
  readonly bodyBytes: number;
  readonly uploadMs: number;
  readonly log: Log;
}

export interface IntakeRefusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly cause?: unknown;
}

/** Exactly one of the two is called, once, unless the intake is stopped before. */
export interface IntakeEnds {
  taken(body: HeldBody): void;
  refused(refusal: IntakeRefusal): void;
}

const mib = (bytes: number): string => `${Math.round((bytes / 1024 / 1024) * 10) / 10} MiB`;

export class BodyIntake {
  readonly #req: IncomingMessage;
  readonly #limits: IntakeLimits;
  readonly #ends: IntakeEnds;
  #chunks: Buffer[] = [];
  #sizeBytes = 0;
  #memoryBytes = 0;
  #spoolBytes = 0;
  #file: SpoolFile | null = null;
  /** The writes to disk, one after another; settles when none is left. */
  #writing: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;
  #released = false;

  constructor(req: IncomingMessage, limits: IntakeLimits, ends: IntakeEnds) {
    this.#req = req;
    this.#limits = limits;
    this.#ends = ends;
  }

  /** What the headers alone forbid; null: the body may come. Takes the room it will need where its length is known. */
  refusalFromHeaders(): IntakeRefusal | null {
    const length = this.#req.headers['content-length'];
    if (length === undefined) return null;
    const sizeBytes = Number(length);
    if (sizeBytes > this.#limits.bodyBytes) return this.#tooLarge(`${mib(sizeBytes)}`);
    const hasRoom = sizeBytes > IN_MEMORY_BYTES ? this.#takeSpool(sizeBytes) : this.#takeMemory(sizeBytes);
    return hasRoom ? null : this.#noSpace();
  }

  /** Reads. May end before it returns where there is no body. */
  start(): void {
    const { headers } = this.#req;
    if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
      this.#finish();
      return;
    }
    const { uploadMs } = this.#limits;
    this.#timer = setTimeout(() => this.#refuse(tooSlow(uploadMs, this.#sizeBytes)), uploadMs);
    this.#req.on('data', this.#onData);
    this.#req.on('end', this.#onEnd);
  }

  /** Ends it without a word, what was taken in is dropped. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#req.off('data', this.#onData).off('end', this.#onEnd);
    this.#release();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes > this.#limits.bodyBytes) this.#refuse(this.#tooLarge('already more than that'));
    else if (this.#spoolBytes > 0) this.#keepOnDisk(chunk);
    else if (this.#sizeBytes > IN_MEMORY_BYTES) this.#moveToDisk(chunk);
    else if (this.#takeMemory(this.#sizeBytes)) this.#chunks.push(chunk);
    else this.#refuse(this.#noSpace());
  };

  readonly #onEnd = (): void => {
    if (this.#writing === null) this.#finish();
    else void this.#writing.then(() => this.#finish());
  };

  #moveToDisk(chunk: Buffer): void {
    const soFar = Buffer.concat([...this.#chunks, chunk]);
    this.#chunks = [];
    if (!this.#takeSpool(this.#sizeBytes)) {
      this.#refuse(this.#noSpace());
      return;
    }
    this.#limits.memory.give(this.#memoryBytes);
    this.#memoryBytes = 0;
    this.#keepOnDisk(soFar);
  }

  #keepOnDisk(chunk: Buffer): void {
    if (!this.#takeSpool(this.#sizeBytes)) {
      this.#refuse(this.#noSpace());
      return;
    }
    // The client is held back while the disk is slow: at most a piece or two are in memory.
    this.#req.pause();
    this.#writing = (this.#writing ?? Promise.resolve()).then(() => this.#write(chunk));
  }

  async #write(chunk: Buffer): Promise<void> {
    if (this.#stopped) return;
    try {
      this.#file ??= await openSpoolFile(this.#limits.spoolFolder);
      await this.#file.append(chunk);
    } catch (error) {
      this.#refuse(diskRefusal(error, this.#limits.spoolFolder));
      return;
    }
    if (!this.#stopped) this.#req.resume();
  }

  /** Room for so many bytes altogether: a known length has taken its own already. */
  #takeMemory(totalBytes: number): boolean {
    const moreBytes = totalBytes - this.#memoryBytes;
    if (moreBytes <= 0) return true;
    if (!this.#limits.memory.take(moreBytes)) return false;
    this.#memoryBytes = totalBytes;
    return true;
  }

  #takeSpool(totalBytes: number): boolean {
    const moreBytes = totalBytes - this.#spoolBytes;
    if (moreBytes <= 0) return true;
    if (!this.#limits.spool.take(moreBytes)) return false;
    this.#spoolBytes = totalBytes;
    return true;
  }

  #finish(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const file = this.#file;
    const [first, second] = this.#chunks;
    const inMemory = file !== null ? null : second === undefined && first ? first : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#ends.taken({
      sizeBytes: this.#sizeBytes,
      inMemory,
      read: () => (file !== null ? file.read() : once(inMemory)),
      release: () => this.#release(),
    });
  }

  #refuse(refusal: IntakeRefusal): void {
    if (this.#stopped) return;
    this.stop();
    this.#ends.refused(refusal);
  }

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#chunks = [];
    this.#limits.memory.give(this.#memoryBytes);
    this.#limits.spool.give(this.#spoolBytes);
    const { log } = this.#limits;
    // A write may be under way, even the one that opens the file.
    this.#writing
      ?.then(() => this.#file?.close())
      .catch((error: unknown) => log.warn({ err: error }, 'a spool file could not be closed'));
  }

  #tooLarge(size: string): IntakeRefusal {
    const message = `the request body may have ${mib(this.#limits.bodyBytes)} (limits.body_mib), this one has ${size}`;
    return { code: 'body_too_large', message };
  }

  #noSpace(): IntakeRefusal {
    const { memory, spool } = this.#limits;
    const message =
      `there is no room for another request body: ${mib(memory.usedBytes)} of limits.memory_mib ` +
      `(${mib(memory.limitBytes)}) and ${mib(spool.usedBytes)} of limits.spool_mib (${mib(spool.limitBytes)}) are taken; try again soon`;
    return { code: 'no_space', message };
  }
}

async function* once(bytes: Buffer | null): AsyncGenerator<Buffer> {
  if (bytes !== null && bytes.length > 0) yield bytes;
}

function tooSlow(uploadMs: number, sizeBytes: number): IntakeRefusal {
  const message = `the request body was not complete within timeouts.upload (${durationText(uploadMs)}); ${mib(sizeBytes)} came`;
  return { code: 'upload_timeout', message };
}

/** Codes of the system for a disk, or an account's share of it, that is full. */
const DISK_FULL = new Set(['ENOSPC', 'EDQUOT']);

function diskRefusal(cause: unknown, folder: string): IntakeRefusal {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  if (DISK_FULL.has(code)) {
    return { code: 'no_space', message: `the disk that holds ${folder} is full (${code}); make room there`, cause };
  }
  const message = `a request body could not be written to ${folder} (${code}); its folder must be writable for the broker`;
  return { code: 'internal', message, cause };
}
