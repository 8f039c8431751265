/**
 * Finds top-level members of a JSON object as its bytes come by, wherever they stand, without holding the body: half a
 * gigabyte of base64 may lie around them. As `JSON.parse` does, the last of equal names wins. What is malformed gives
 * whatever was found or nothing; it never throws.
 */
import { stringPart } from './json-string.js';

const QUOTE = 0x22;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;

/** Longer values than this are nobody's name. */
const LONGEST_VALUE_BYTES = 1024;

/** Numbers that mean something are shorter; what is longer is not collected, and has no value. */
const LONGEST_LITERAL = 64;

/** A value that is a text, a number, true, false or null. */
export interface Member {
  /** In bytes of the body; `end` is the first byte behind it. */
  readonly start: number;
  readonly end: number;
  /** As `JSON.parse` gives it; undefined: too long, or broken. */
  readonly value: unknown;
}

export class MemberScanner {
  /** Objects and lists are not kept: a name that has one is absent. */
  readonly members = new Map<string, Member>();
  /** It is no object: nothing will be found. */
  isHopeless = false;
  readonly #names: ReadonlySet<string>;
  #depth = 0;
  #expects: 'key' | 'colon' | 'value' | 'comma' = 'key';
  #key: string | null = null;
  #inString = false;
  /** An odd number of backslashes stands at the end of what was seen of a string. */
  #escaped = false;
  /** The bytes of a string that matters; null: this one does not, or is too long. */
  #text: Buffer[] | null = null;
  #textBytes = 0;
  /** Bytes before the chunk at hand. */
  #before = 0;
  #start = 0;
  /** A number, true, false or null under way. */
  #literal: string | null = null;

  constructor(names: readonly string[]) {
    this.#names = new Set(names);
  }

  take(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.isHopeless) {
      at = this.#inString ? this.#takeString(chunk, at) : this.#takeToken(chunk, at);
    }
    this.#before += chunk.length;
  }

  #takeToken(chunk: Buffer, at: number): number {
    const byte = chunk[at] ?? 0;
    switch (byte) {
      case QUOTE:
        this.#openString(at);
        break;
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        if (this.#depth === 0 && byte === OPEN_ARRAY) this.isHopeless = true;
        if (this.#awaitsValue()) this.#settle(null);
        this.#depth += 1;
        break;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        this.#closeLiteral(at);
        this.#depth -= 1;
        break;
      case COLON:
        if (this.#depth === 1) this.#expects = 'value';
        break;
      case COMMA:
        this.#closeLiteral(at);
        if (this.#depth === 1) this.#expects = 'key';
        break;
      default:
        if (byte <= 0x20) this.#closeLiteral(at);
        else if (this.#literal !== null) this.#growLiteral(byte);
        else if (this.#awaitsValue()) this.#openLiteral(byte, at);
        break;
    }
    return at + 1;
  }

  #awaitsValue(): boolean {
    return this.#depth === 1 && this.#expects === 'value' && this.#key !== null && this.#names.has(this.#key);
  }

  #openLiteral(byte: number, at: number): void {
    this.#literal = String.fromCharCode(byte);
    this.#start = this.#before + at;
  }

  #growLiteral(byte: number): void {
    if (this.#literal !== null && this.#literal.length <= LONGEST_LITERAL) this.#literal += String.fromCharCode(byte);
  }

  #closeLiteral(at: number): void {
    if (this.#literal === null) return;
    this.#settle({
      start: this.#start,
      end: this.#before + at,
      value: this.#literal.length > LONGEST_LITERAL ? undefined : parsed(this.#literal),
    });
    this.#literal = null;
    this.#expects = 'comma';
  }

  #settle(member: Member | null): void {
    if (this.#key === null) return;
    if (member === null) this.members.delete(this.#key);
    else this.members.set(this.#key, member);
  }

  #openString(at: number): void {
    if (this.#depth === 0) this.isHopeless = true;
    const isKey = this.#depth === 1 && this.#expects === 'key';
    this.#inString = true;
    this.#escaped = false;
    this.#text = isKey || this.#awaitsValue() ? [] : null;
    this.#textBytes = 0;
    this.#start = this.#before + at;
  }

  #takeString(chunk: Buffer, from: number): number {
    const { end, isClosed, escaped } = stringPart(chunk, from, this.#escaped);
    this.#escaped = escaped;
    this.#keep(chunk.subarray(from, end), !isClosed);
    if (!isClosed) return end;
    this.#closeString(end);
    return end + 1;
  }

  #keep(bytes: Buffer, isCut: boolean): void {
    if (this.#text === null) return;
    this.#textBytes += bytes.length;
    if (this.#textBytes > LONGEST_VALUE_BYTES) this.#text = null;
    // What is cut goes on in the next chunk, when this one is somebody else's.
    else this.#text.push(isCut ? Buffer.from(bytes) : bytes);
  }

  #closeString(quote: number): void {
    this.#inString = false;
    if (this.#depth !== 1) return;
    const value = this.#text === null ? undefined : parsed(`"${Buffer.concat(this.#text).toString('utf8')}"`);
    if (this.#expects === 'key') {
      this.#key = typeof value === 'string' ? value : null;
      this.#expects = 'colon';
    } else if (this.#expects === 'value') {
      if (this.#awaitsValue()) this.#settle({ start: this.#start, end: this.#before + quote + 1, value });
      this.#expects = 'comma';
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
