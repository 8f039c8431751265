/** Finds the prompt id in the answer to `POST /prompt`, which may be compressed. Owns the few bytes of that answer. */
import { unzipSync } from 'node:zlib';
import { z } from 'zod';
import type { AnswerHead, AnswerWatch } from '../adapter.js';

const accepted = z.object({ prompt_id: z.string().min(1).max(200) });
/** An accepted prompt is answered in a line; what is longer is something else. */
const LONGEST_ANSWER_BYTES = 1024 * 1024;

export class PromptAnswer implements AnswerWatch {
  readonly #head: AnswerHead;
  #chunks: Buffer[] = [];
  #sizeBytes = 0;

  constructor(head: AnswerHead) {
    this.#head = head;
  }

  piece(chunk: Buffer): void {
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes <= LONGEST_ANSWER_BYTES) this.#chunks.push(chunk);
    else this.#chunks = [];
  }

  complaint(): null {
    return null;
  }

  workId(): string | null {
    if (this.#head.status !== 200 || this.#chunks.length === 0) return null;
    try {
      const parsed = accepted.safeParse(JSON.parse(this.#text()));
      return parsed.success ? parsed.data.prompt_id : null;
    } catch {
      // Cut, or no JSON: there is no id to be had.
      return null;
    }
  }

  #text(): string {
    const raw = Buffer.concat(this.#chunks);
    const encoding = String(this.#head.headers['content-encoding'] ?? 'identity');
    return (encoding === 'identity' ? raw : unzipSync(raw, { maxOutputLength: LONGEST_ANSWER_BYTES })).toString('utf8');
  }
}
