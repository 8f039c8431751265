/**
 * Finds a top-level string member of a JSON object as its bytes come by, wherever it stands, without holding the body:
 * half a gigabyte of base64 may lie around it. As `JSON.parse` does, the last of equal names wins. What is malformed
 * gives whatever was found or nothing; it never throws.
 */
import type { BodySource } from './adapter.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;

/** Longer names than this are nobody's. */
const LONGEST_TEXT_BYTES = 1024;

export async function topLevelString(body: BodySource, member: string): Promise<string | null> {
  const scanner = new MemberScanner(member);
  for await (const chunk of body.read()) {
    scanner.take(chunk);
    if (scanner.isHopeless) return null;
  }
  return scanner.found;
}

export class MemberScanner {
  found: string | null = null;
  /** It is no object: nothing will be found. */
  isHopeless = false;
  readonly #member: string;
  #depth = 0;
  #expects: 'key' | 'colon' | 'value' | 'comma' = 'key';
  #key: string | null = null;
  #inString = false;
  /** An odd number of backslashes stands at the end of what was seen of a string. */
  #escaped = false;
  /** The bytes of a string that matters; null: this one does not, or is too long. */
  #text: Buffer[] | null = null;
  #textBytes = 0;

  constructor(member: string) {
    this.#member = member;
  }

  take(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.isHopeless) {
      at = this.#inString ? this.#takeString(chunk, at) : this.#takeToken(chunk, at);
    }
  }

  #takeToken(chunk: Buffer, at: number): number {
    const byte = chunk[at];
    switch (byte) {
      case QUOTE:
        this.#openString();
        break;
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        if (this.#depth === 0 && byte === OPEN_ARRAY) this.isHopeless = true;
        this.#depth += 1;
        break;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        this.#depth -= 1;
        break;
      case COLON:
        if (this.#depth === 1) this.#expects = 'value';
        break;
      case COMMA:
        if (this.#depth === 1) this.#expects = 'key';
        break;
      default:
        break;
    }
    return at + 1;
  }

  #openString(): void {
    if (this.#depth === 0) this.isHopeless = true;
    const isKey = this.#depth === 1 && this.#expects === 'key';
    const isValue = this.#depth === 1 && this.#expects === 'value' && this.#key === this.#member;
    this.#inString = true;
    this.#escaped = false;
    this.#text = isKey || isValue ? [] : null;
    this.#textBytes = 0;
  }

  /** Jumps from quote to quote: what lies between is not looked at byte by byte. */
  #takeString(chunk: Buffer, from: number): number {
    let quote = chunk.indexOf(QUOTE, from);
    while (quote !== -1 && this.#isEscaped(chunk, from, quote)) quote = chunk.indexOf(QUOTE, quote + 1);
    const end = quote === -1 ? chunk.length : quote;
    this.#keep(chunk.subarray(from, end));
    if (quote === -1) {
      this.#escaped = this.#isEscaped(chunk, from, chunk.length);
      return chunk.length;
    }
    this.#closeString();
    return quote + 1;
  }

  #isEscaped(chunk: Buffer, from: number, at: number): boolean {
    let start = at;
    while (start > from && chunk[start - 1] === BACKSLASH) start -= 1;
    const backslashes = at - start;
    // All the way to the beginning of the chunk: what came before it counts too.
    return start === from && this.#escaped ? backslashes % 2 === 0 : backslashes % 2 === 1;
  }

  #keep(bytes: Buffer): void {
    if (this.#text === null) return;
    this.#textBytes += bytes.length;
    if (this.#textBytes > LONGEST_TEXT_BYTES) this.#text = null;
    else this.#text.push(bytes);
  }

  #closeString(): void {
    this.#inString = false;
    const text = this.#text === null ? null : decode(Buffer.concat(this.#text));
    if (this.#depth !== 1) return;
    if (this.#expects === 'key') {
      this.#key = text;
      this.#expects = 'colon';
    } else if (this.#expects === 'value') {
      if (this.#key === this.#member) this.found = text;
      this.#expects = 'comma';
    }
  }
}

function decode(raw: Buffer): string | null {
  try {
    const value: unknown = JSON.parse(`"${raw.toString('utf8')}"`);
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}
