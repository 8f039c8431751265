/** PNG files of 8-bit RGB (RFC 2083), written with zlib alone. Owns nothing. */
import { crc32, deflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const TRUE_COLOUR = 2;

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue, row by row from the top; 3 × width × height bytes. */
  readonly rgb: Uint8Array;
}

function chunk(name: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), content]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(content.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), framed.length - 4);
  return framed;
}

/** `texts` become `tEXt` chunks; keywords and values in Latin-1, anything else is replaced. */
export function writePng(picture: Picture, texts: Readonly<Record<string, string>> = {}): Buffer {
  const { width, height, rgb } = picture;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, TRUE_COLOUR, 0, 0, 0], 8);
  const rowBytes = width * 3;
  const rows = Buffer.alloc((rowBytes + 1) * height);
  for (let row = 0; row < height; row += 1) {
    // Filter type 1 (difference to the pixel on the left) suits soft gradients.
    const to = row * (rowBytes + 1);
    rows[to] = 1;
    for (let at = 0; at < rowBytes; at += 1) {
      const left = at < 3 ? 0 : (rgb[row * rowBytes + at - 3] ?? 0);
      rows[to + 1 + at] = ((rgb[row * rowBytes + at] ?? 0) - left) & 0xff;
    }
  }
  const notes = Object.entries(texts).map(([keyword, value]) =>
    chunk('tEXt', Buffer.from(`${keyword}\u0000${value.replaceAll(/[^\n\u0020-\u00ff]/g, '?')}`, 'latin1')),
  );
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    ...notes,
    chunk('IDAT', deflateSync(rows, { level: 6 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}
