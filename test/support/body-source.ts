/** A body in memory as an adapter reads it, in pieces of any size. */
import type { BodySource } from '../../src/adapters/adapter.js';

export function bodyOf(content: string | Buffer, pieceBytes = Number.POSITIVE_INFINITY): BodySource {
  const bytes = Buffer.from(content);
  return {
    sizeBytes: bytes.length,
    async *read() {
      for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
    },
  };
}
