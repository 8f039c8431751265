/**
 * Walks through JSON as its bytes come by and tells the values near its root, without holding the rest: half a gigabyte
 * of base64, or a queue full of graphs, may lie around them. No validator: it notices what breaks the structure, not
 * every misspelt number. Never throws.
 */
import { stringPart } from './json-string.js';

const QUOTE = 0x22;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;
const SPACES: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Names and positions from the root; null: a name too long to be anybody's. */
export type JsonPath = readonly (string | number | null)[];

/** Numbers that mean something are shorter; what is longer is not collected, and has no value. */
const LONGEST_LITERAL = 64;

/** A text, a number, true, false or null. */
export interface JsonScalar {
  /** In bytes from the beginning; `end` is the first byte behind it. */
  readonly start: number;
  readonly end: number;
  /** As `JSON.parse` gives it; undefined: too long, or broken. */
  readonly value: unknown;
}

/**
 * `text`: the value, where it is a string and no longer than the limit; null for everything else. `scalar`: null for an
 * object or a list, of which is told at its beginning.
 */
export type JsonVisit = (path: JsonPath, text: string | null, scalar: JsonScalar | null) => void;

interface Frame {
  readonly isObject: boolean;
  /** In an object, the member that comes; in an array, null. */
  name: string | null;
  /** In an array, the position of the value that comes. */
  at: number;
  expects: 'name' | 'colon' | 'value' | 'comma';
}

export interface JsonWalkLimits {
  /** Values deeper than this are passed over: 1 tells the members of the root. */
  readonly deepest: number;
  /** Longer strings are told as null. */
  readonly longestTextBytes: number;
}

export class JsonWalk {
  /** `whole`: the root object or array has ended; whatever follows is not looked at. `broken`: this is no JSON. */
  state: 'open' | 'whole' | 'broken' = 'open';
  /** What the text is; null: nothing of it was seen, or it is neither. */
  root: 'object' | 'list' | null = null;
  readonly #limits: JsonWalkLimits;
  readonly #visit: JsonVisit;
  readonly #frames: Frame[] = [];
  /** How far below the deepest frame we are. */
  #below = 0;
  #inString = false;
  /** An odd number of backslashes stands at the end of what was seen of a string. */
  #escaped = false;
  /** The bytes of a string that matters; null: this one does not, or is too long. */
  #text: Buffer[] | null = null;
  #textBytes = 0;
  /** A number, true, false or null under way. */
  #literal: string | null = null;
  /** Where the scalar under way begins. */
  #start = 0;
  /** Bytes before the chunk at hand. */
  #before = 0;

  constructor(limits: JsonWalkLimits, visit: JsonVisit) {
    this.#limits = limits;
    this.#visit = visit;
  }

  take(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.state === 'open') {
      if (this.#inString) at = this.#takeString(chunk, at);
      else {
        this.#takeByte(chunk[at] ?? 0, this.#before + at);
        at += 1;
      }
    }
    this.#before += chunk.length;
  }

  #takeByte(byte: number, at: number): void {
    if (byte === QUOTE) this.#openString(at);
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.#open(byte === OPEN_OBJECT);
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) this.#close(byte === CLOSE_OBJECT, at);
    else if (this.#below > 0) return;
    else if (SPACES.has(byte)) this.#closeLiteral(at);
    else this.#takeNear(byte, at);
  }

  /** A byte of a number, of `true` and the like, or a mark between values, where we look closely. */
  #takeNear(byte: number, at: number): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined) this.state = 'broken';
    else if (byte === COLON) this.#expect(frame, 'colon', 'value');
    else if (byte === COMMA) {
      this.#closeLiteral(at);
      this.#expect(frame, 'comma', frame.isObject ? 'name' : 'value');
      frame.at += 1;
    } else if (this.#literal !== null) {
      if (this.#literal.length <= LONGEST_LITERAL) this.#literal += String.fromCharCode(byte);
    } else if (frame.expects === 'value') {
      this.#literal = String.fromCharCode(byte);
      this.#start = at;
    } else this.state = 'broken';
  }

  #closeLiteral(end: number): void {
    const literal = this.#literal;
    const frame = this.#frames.at(-1);
    if (literal === null || frame === undefined) return;
    this.#literal = null;
    this.#tell(frame, {
      ...{ start: this.#start, end },
      value: literal.length > LONGEST_LITERAL ? undefined : parsed(literal),
    });
  }

  #expect(frame: Frame, expected: Frame['expects'], next: Frame['expects']): void {
    if (frame.expects === expected) frame.expects = next;
    else this.state = 'broken';
  }

  #tell(frame: Frame, scalar: JsonScalar | null): void {
    frame.expects = 'comma';
    const path = this.#frames.map(({ isObject, name, at }) => (isObject ? name : at));
    this.#visit(path, typeof scalar?.value === 'string' ? scalar.value : null, scalar);
  }

  #open(isObject: boolean): void {
    const frame = this.#frames.at(-1);
    this.root ??= isObject ? 'object' : 'list';
    if (this.#below === 0 && frame !== undefined) {
      if (frame.expects !== 'value' || this.#literal !== null) {
        this.state = 'broken';
        return;
      }
      this.#tell(frame, null);
    }
    if (this.#frames.length === this.#limits.deepest) this.#below += 1;
    else this.#frames.push({ isObject, name: null, at: 0, expects: isObject ? 'name' : 'value' });
  }

  #close(isObject: boolean, at: number): void {
    if (this.#below > 0) {
      this.#below -= 1;
      return;
    }
    this.#closeLiteral(at);
    if (this.#frames.pop()?.isObject !== isObject) this.state = 'broken';
    else if (this.#frames.length === 0) this.state = 'whole';
  }

  #openString(at: number): void {
    const frame = this.#frames.at(-1);
    const isNear = this.#below === 0;
    const isDue = frame?.expects === 'name' || (frame?.expects === 'value' && this.#literal === null);
    if (isNear && !isDue) {
      this.state = 'broken';
      return;
    }
    this.#inString = true;
    this.#escaped = false;
    this.#text = isNear ? [] : null;
    this.#textBytes = 0;
    this.#start = at;
  }

  #takeString(chunk: Buffer, from: number): number {
    const { end, isClosed, escaped } = stringPart(chunk, from, this.#escaped);
    this.#escaped = escaped;
    this.#keep(chunk.subarray(from, end));
    if (!isClosed) return end;
    this.#closeString(this.#before + end + 1);
    return end + 1;
  }

  #keep(bytes: Buffer): void {
    if (this.#text === null) return;
    this.#textBytes += bytes.length;
    if (this.#textBytes > this.#limits.longestTextBytes) this.#text = null;
    // A copy: the piece it lies in may be large, and need not live as long as a name cut in two.
    else this.#text.push(Buffer.from(bytes));
  }

  #closeString(end: number): void {
    this.#inString = false;
    const frame = this.#frames.at(-1);
    if (this.#below > 0 || frame === undefined) return;
    const value = this.#text === null ? undefined : parsed(`"${Buffer.concat(this.#text).toString('utf8')}"`);
    if (frame.expects === 'name') {
      frame.name = typeof value === 'string' ? value : null;
      frame.expects = 'colon';
    } else this.#tell(frame, { start: this.#start, end, value });
  }
}

/** undefined: an invalid escape, a raw line end, a word of its own; nothing that anybody could ask for. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
