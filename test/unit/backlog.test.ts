import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backlog, type BacklogPiece } from '../../src/proxy/backlog.js';

const MIB = 1024 * 1024;

/** Pieces of many sizes whose bytes differ from place to place. */
function* chunksOf(totalBytes: number): Generator<Buffer> {
  const sizes = [1, 65_536, 1000, 300_000, 17];
  for (let at = 0, turn = 0; at < totalBytes; turn += 1) {
    const chunk = Buffer.alloc(Math.min(sizes[turn % sizes.length] ?? 1, totalBytes - at));
    for (let offset = 0; offset < chunk.length; offset += 1) chunk[offset] = ((at + offset) * 31) % 251;
    at += chunk.length;
    yield chunk;
  }
}

function taken(backlog: Backlog, most = Infinity): BacklogPiece[] {
  const pieces: BacklogPiece[] = [];
  while (pieces.length < most) {
    const piece = backlog.shift();
    if (piece === null) break;
    pieces.push(piece);
  }
  return pieces;
}

const memoryOf = (pieces: readonly BacklogPiece[]): number =>
  [...new Set(pieces.map(({ bytes }) => bytes.buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0);

test('what waits for a reader comes out as it went in, whatever is pushed in between', () => {
  const backlog = new Backlog();
  const wentIn: Buffer[] = [];
  const cameOut: Buffer[] = [];
  let inBytes = 0;
  let outBytes = 0;
  const take = (most: number) => {
    for (const { bytes, flushed } of taken(backlog, most)) {
      cameOut.push(Buffer.from(bytes));
      outBytes += bytes.length;
      flushed();
    }
  };
  let turn = 0;
  for (const chunk of chunksOf(6 * MIB)) {
    wentIn.push(Buffer.from(chunk));
    backlog.push(chunk);
    inBytes += chunk.length;
    turn += 1;
    // Now nothing, now a little, now all of it is taken.
    take(turn % 40 === 0 ? Infinity : turn % 7 === 0 ? 2 : 0);
    assert.equal(backlog.sizeBytes, inBytes - outBytes);
  }
  take(Infinity);
  assert.equal(backlog.sizeBytes, 0);
  assert.ok(Buffer.concat(wentIn).equals(Buffer.concat(cameOut)));
});

test('what has been flushed gives its memory back at once, the rest keeps its bytes', () => {
  const backlog = new Backlog();
  for (const chunk of chunksOf(8 * MIB)) backlog.push(chunk);
  const pieces = taken(backlog);
  assert.ok(memoryOf(pieces) >= 8 * MIB);
  const middle = Math.floor(pieces.length / 2);
  const later = pieces.slice(middle).map(({ bytes }) => Buffer.from(bytes));
  for (const { flushed } of pieces.slice(0, middle)) flushed();
  // Not the first MiB, which was kept as it came, nor the block that the middle is in.
  assert.ok(memoryOf(pieces) < 6.5 * MIB, `${memoryOf(pieces)} bytes kept`);
  assert.ok(later.every((bytes, index) => bytes.equals(pieces[middle + index]?.bytes ?? Buffer.alloc(0))));
  for (const { flushed } of pieces.slice(middle)) flushed();
  assert.ok(memoryOf(pieces) < 1.5 * MIB, `${memoryOf(pieces)} bytes kept`);
});

test('a reader who left: what nobody took is given back, and what is still on its way when it is flushed', () => {
  const backlog = new Backlog();
  for (const chunk of chunksOf(4 * MIB)) backlog.push(chunk);
  let piece = backlog.shift();
  // The first that lies in a block of ours.
  while (piece !== null && piece.bytes.buffer.byteLength < MIB) piece = backlog.shift();
  assert.ok(piece !== null);
  const bytes = Buffer.from(piece.bytes);
  backlog.clear();
  assert.equal(backlog.sizeBytes, 0);
  assert.equal(backlog.shift(), null);
  assert.ok(piece.bytes.equals(bytes));
  piece.flushed();
  assert.equal(piece.bytes.buffer.byteLength, 0);
});
