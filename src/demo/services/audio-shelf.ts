/**
 * The WAV files that the demo's text-to-speech made and still serves. Owns them, in memory, the newest few only.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { Call } from './call.js';

const KEPT_FILES = 64;

interface AudioFile {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly madeAt: string;
}

interface ByteRange {
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

/** RFC 9110 section 14: one range of bytes. null: no range that is understood; `unsatisfiable`: none of it is there. */
function parseRange(header: string | undefined, sizeBytes: number): ByteRange | 'unsatisfiable' | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null) return null;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return null;
  if (first === '') {
    const tail = Math.min(Number(last), sizeBytes);
    return tail === 0 ? 'unsatisfiable' : { from: sizeBytes - tail, to: sizeBytes - 1 };
  }
  const from = Number(first);
  const to = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (last !== '' && Number(last) < from) return null;
  return from >= sizeBytes ? 'unsatisfiable' : { from, to };
}

export class AudioShelf {
  readonly #files = new Map<string, AudioFile>();

  /** Returns the path under which the file is served. */
  put(bytes: Buffer): string {
    const name = `${randomUUID().replaceAll('-', '')}.wav`;
    const digest = createHash('md5').update(bytes).digest('hex');
    this.#files.set(name, { bytes, etag: `"${digest}"`, madeAt: new Date().toUTCString() });
    const [oldest] = this.#files.keys();
    if (this.#files.size > KEPT_FILES && oldest !== undefined) this.#files.delete(oldest);
    return `/audio/${name}`;
  }

  /** Answers GET and HEAD of a file; false: there is none under this path. */
  async serve(call: Call): Promise<boolean> {
    const file = this.#files.get(call.path.slice('/audio/'.length));
    if (file === undefined) return false;
    const headers = {
      'content-type': 'audio/wav',
      'accept-ranges': 'bytes',
      'last-modified': file.madeAt,
      etag: file.etag,
    };
    const range = parseRange(call.headers.range, file.bytes.length);
    if (call.headers['if-none-match'] === file.etag) {
      await call.reply(304, headers);
    } else if (range === 'unsatisfiable') {
      await call.reply(416, { 'content-range': `bytes */${file.bytes.length}` });
    } else if (range === null) {
      await call.reply(200, headers, file.bytes);
    } else {
      const contentRange = `bytes ${range.from}-${range.to}/${file.bytes.length}`;
      await call.reply(
        206,
        { ...headers, 'content-range': contentRange },
        file.bytes.subarray(range.from, range.to + 1),
      );
    }
    return true;
  }
}
