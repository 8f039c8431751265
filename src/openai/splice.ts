/** A body with stretches of it replaced, every other byte as it came; or all of it. Owns nothing but the new bytes. */
import type { HeldBody } from '../adapters/translation.js';

export interface Replacement {
  /** In bytes of the body; `end` is the first byte behind it. */
  readonly start: number;
  readonly end: number;
  readonly bytes: Buffer;
}

/** `replacements`: in order, without overlap. Releasing it releases the body. */
export function spliced(body: HeldBody, replacements: readonly Replacement[]): HeldBody {
  if (replacements.length === 0) return body;
  const sizeBytes = replacements.reduce(
    (sum, { start, end, bytes }) => sum + bytes.length - (end - start),
    body.sizeBytes,
  );
  const { inMemory } = body;
  const whole = inMemory === null ? null : Buffer.concat([...stretches(inMemory, replacements)]);
  if (whole !== null) return replaced(body, whole);
  return { sizeBytes, inMemory: null, read: () => splicedPieces(body, replacements), release: () => body.release() };
}

/** Other bytes in its place. Releasing them releases the body. */
export const replaced = (body: HeldBody, bytes: Buffer): HeldBody => ({
  sizeBytes: bytes.length,
  inMemory: bytes,
  read: () => once(bytes),
  release: () => body.release(),
});

function* stretches(bytes: Buffer, replacements: readonly Replacement[]): Generator<Buffer> {
  let from = 0;
  for (const { start, end, bytes: instead } of replacements) {
    yield bytes.subarray(from, start);
    yield instead;
    from = end;
  }
  yield bytes.subarray(from);
}

async function* splicedPieces(body: HeldBody, replacements: readonly Replacement[]): AsyncGenerator<Buffer> {
  let at = 0;
  let next = 0;
  for await (const piece of body.read()) {
    const endAt = at + piece.length;
    let from = at;
    for (let due = replacements[next]; due !== undefined && due.start < endAt; due = replacements[next]) {
      if (due.start > from) yield piece.subarray(from - at, due.start - at);
      from = Math.max(from, Math.min(due.end, endAt));
      // Goes out with the piece in which it ends, once.
      if (due.end > endAt) break;
      yield due.bytes;
      next += 1;
    }
    if (from < endAt) yield piece.subarray(from - at);
    at = endAt;
  }
  // Additions at the very end of the body.
  for (const { bytes } of replacements.slice(next)) yield bytes;
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
