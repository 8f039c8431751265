/**
 * Pictures that clients asked for by address: an hour each, so many bytes in all, the oldest leave first. Owns them, in
 * memory.
 */
import { randomBytes } from 'node:crypto';
import { BrokerError } from '../errors.js';
import type { Exchange } from '../server/exchange.js';
import { type Picture, typeOfPicture } from './picture.js';

const LIFE_MS = 3_600_000;
const MOST_BYTES = 64 * 1024 * 1024;
const NAME_BYTES = 16;

interface Kept {
  readonly bytes: Buffer;
  readonly timer: NodeJS.Timeout;
}

export interface PictureStoreLimits {
  readonly lifeMs: number;
  readonly mostBytes: number;
}

export class PictureStore {
  readonly #limits: PictureStoreLimits;
  readonly #kept = new Map<string, Kept>();
  #sizeBytes = 0;

  constructor(limits: PictureStoreLimits = { lifeMs: LIFE_MS, mostBytes: MOST_BYTES }) {
    this.#limits = limits;
  }

  /** Its name, which nobody guesses. Throws `no_space` for one that is too large for all of it. */
  keep({ bytes }: Picture): string {
    const { mostBytes, lifeMs } = this.#limits;
    if (bytes.length > mostBytes) {
      const text = `a picture of ${mib(bytes.length)} MiB is not kept for an address (at most ${mib(mostBytes)} MiB); ask for response_format b64_json`;
      throw new BrokerError('no_space', text, { param: 'response_format', retryAfterS: null });
    }
    for (const oldest of this.#kept.keys()) {
      if (this.#sizeBytes + bytes.length <= mostBytes) break;
      this.#drop(oldest);
    }
    const { extension } = typeOfPicture(bytes);
    const name = `${randomBytes(NAME_BYTES).toString('hex')}.${extension}`;
    const timer = setTimeout(() => this.#drop(name), lifeMs);
    timer.unref();
    this.#kept.set(name, { bytes, timer });
    this.#sizeBytes += bytes.length;
    return name;
  }

  /** `GET /v1/images/files/NAME` */
  send({ res, params }: Exchange): void {
    const bytes = this.#kept.get(params.name ?? '')?.bytes;
    if (bytes === undefined) {
      const { lifeMs, mostBytes } = this.#limits;
      const text = `this picture is not here, or not any more: pictures are kept for ${Math.round(lifeMs / 60_000)} minutes, ${mib(mostBytes)} MiB of them; ask for b64_json to get it in the answer`;
      throw new BrokerError('not_found', text);
    }
    res.writeHead(200, {
      'Content-Type': typeOfPicture(bytes).type,
      'Content-Length': bytes.length,
      'Cache-Control': 'private, max-age=3600',
      'X-Content-Type-Options': 'nosniff',
    });
    res.end(bytes);
  }

  close(): void {
    for (const name of [...this.#kept.keys()]) this.#drop(name);
  }

  #drop(name: string): void {
    const kept = this.#kept.get(name);
    if (kept === undefined) return;
    clearTimeout(kept.timer);
    this.#kept.delete(name);
    this.#sizeBytes -= kept.bytes.length;
  }
}

const mib = (bytes: number): number => Math.ceil(bytes / 1024 / 1024);
