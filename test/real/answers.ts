/** Requests whose every end is told apart: a whole answer, an error of the broker's, a visible cut, or nothing. */
import { type IncomingHttpHeaders, request } from 'node:http';
import { CATALOGUE, isErrorCode } from '../../src/errors.js';
import { valueAt } from '../support/json-value.js';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** When each piece came, and what it was; milliseconds from the request on. */
  readonly pieces: readonly { readonly atMs: number; readonly text: string }[];
  /** The connection broke in the middle. */
  readonly cut: boolean;
}

export interface Asked {
  readonly body: Buffer | string;
  readonly contentType: string;
  /** An answer that takes longer counts as none. */
  readonly limitMs?: number;
  /** Called with all that came so far; true: the client leaves now. */
  readonly leaveWhen?: (text: string) => boolean;
}

/** Rejects when there was no answer at all: refused, reset before the head, or nothing for `limitMs`. */
export function post(url: string, { body, contentType, limitMs = 60_000, leaveWhen }: Asked): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const askedAt = performance.now();
    const headers = { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(body) };
    const timer = setTimeout(() => asked.destroy(new Error(`no end within ${limitMs} ms`)), limitMs);
    const asked = request(url, { method: 'POST', headers, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      const pieces: { atMs: number; text: string }[] = [];
      let isOver = false;
      const end = (cut: boolean) => {
        if (isOver) return;
        isOver = true;
        clearTimeout(timer);
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks), pieces, cut });
      };
      res.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        pieces.push({ atMs: performance.now() - askedAt, text: chunk.toString('utf8') });
        if (leaveWhen?.(Buffer.concat(chunks).toString('utf8')) === true) asked.destroy();
      });
      res.once('end', () => end(false));
      res.once('error', (error) => {
        if (error.message.startsWith('no end within')) reject(error);
        else end(true);
      });
      res.once('close', () => end(true));
    });
    asked.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    asked.end(body);
  });
}

/**
 * The code of an error of the broker's, checked against the catalogue: status, type, job, and what it says about
 * waiting. null: the answer is the service's own.
 */
export function brokerErrorOf({ status, headers, body }: Answer): string | null {
  if (headers['x-mgpu-consumer'] !== undefined) return null;
  const json: unknown = JSON.parse(body.toString('utf8'));
  const code = valueAt(json, 'error', 'code');
  if (typeof code !== 'string' || !isErrorCode(code)) throw new Error(`not one of our errors: ${status} ${body}`);
  const known = CATALOGUE[code];
  const says = [valueAt(json, 'error', 'type'), status, headers['retry-after'] !== undefined];
  const should = [known.type, known.status, known.retryAfterS !== null];
  if (JSON.stringify(says) !== JSON.stringify(should)) throw new Error(`${code} came as ${says}, not as ${should}`);
  return code;
}
