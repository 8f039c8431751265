/** The demo's pictures: valid PNG files that depend on text and seed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32, inflateSync } from 'node:zlib';
import { openCanvas } from '../../src/demo/media/painter.js';
import { type Picture, writePng } from '../../src/demo/media/png.js';

interface Chunk {
  readonly name: string;
  readonly content: Buffer;
}

function chunksOf(file: Buffer): Chunk[] {
  assert.deepEqual([...file.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const chunks: Chunk[] = [];
  for (let at = 8; at < file.length; ) {
    const sizeBytes = file.readUInt32BE(at);
    const body = file.subarray(at + 4, at + 8 + sizeBytes);
    assert.equal(file.readUInt32BE(at + 8 + sizeBytes), crc32(body), 'each chunk has its checksum');
    chunks.push({ name: body.toString('latin1', 0, 4), content: body.subarray(4) });
    at += 12 + sizeBytes;
  }
  return chunks;
}

/** Undoes the two filters that are used: none, and the difference to the left. */
function decode(file: Buffer): Picture {
  const chunks = chunksOf(file);
  assert.equal(chunks[0]?.name, 'IHDR');
  assert.equal(chunks.at(-1)?.name, 'IEND');
  const header = chunks[0].content;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  assert.deepEqual([...header.subarray(8)], [8, 2, 0, 0, 0]);
  const rows = inflateSync(Buffer.concat(chunks.filter(({ name }) => name === 'IDAT').map(({ content }) => content)));
  assert.equal(rows.length, (width * 3 + 1) * height);
  const rgb = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row += 1) {
    const filter = rows[row * (width * 3 + 1)];
    assert.ok(filter === 0 || filter === 1);
    for (let at = 0; at < width * 3; at += 1) {
      const left = filter === 1 && at >= 3 ? (rgb[row * width * 3 + at - 3] ?? 0) : 0;
      rgb[row * width * 3 + at] = (rows[row * (width * 3 + 1) + 1 + at] ?? 0) + left;
    }
  }
  return { width, height, rgb };
}

function paint(text: string, seed: string): Picture {
  const canvas = openCanvas(256, 256, text, seed);
  for (let band = 0; band < 7; band += 1) canvas.paintBand(band, 7);
  return canvas;
}

test('a PNG gives back the pixels it was written from', () => {
  const picture = paint('a gold sunset over the sea', '1');
  const read = decode(writePng(picture));
  assert.deepEqual([read.width, read.height], [256, 256]);
  assert.ok(Buffer.from(read.rgb).equals(Buffer.from(picture.rgb)));
});

test('texts of a PNG stand in it, and what Latin-1 lacks is replaced', () => {
  const texts = chunksOf(writePng(paint('x', '1'), { prompt: 'a ü b 🎵 c' })).filter(({ name }) => name === 'tEXt');
  assert.deepEqual(
    texts.map(({ content }) => content.toString('latin1')),
    ['prompt\u0000a ü b ?? c'],
  );
});

test('the whole picture is painted, in many colours', () => {
  const { rgb } = paint('a forest', '1');
  const colours = new Set<number>();
  for (let at = 0; at < rgb.length; at += 3) {
    colours.add(((rgb[at] ?? 0) << 16) | ((rgb[at + 1] ?? 0) << 8) | (rgb[at + 2] ?? 0));
  }
  assert.ok(colours.size > 1_000, `${colours.size} colours`);
  assert.ok(!colours.has(0), 'no pixel was left black');
});

test('the same text and seed give the same picture, another text or seed another one', () => {
  const bytes = (text: string, seed: string): string => Buffer.from(paint(text, seed).rgb).toString('base64');
  const first = bytes('a red house', '1');
  assert.equal(bytes('a red house', '1'), first);
  assert.notEqual(bytes('a red house', '2'), first);
  assert.notEqual(bytes('a blue house', '1'), first);
});
