/**
 * Walks through JSON as its bytes come by and tells the values near its root, without holding the rest: half a gigabyte
 * of base64, or a queue full of graphs, may lie around them. No validator: it notices what breaks the structure, not
 * every misspelt number. Never throws.
 */
import { stringPart } from '../server/json-string.js';

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

/** `text`: the value, where it is a string and no longer than the limit; null for everything else. */
export type JsonVisit = (path: JsonPath, text: string | null) => void;

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

  constructor(limits: JsonWalkLimits, visit: JsonVisit) {
    this.#limits = limits;
    this.#visit = visit;
  }

  take(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.state === 'open') {
      if (this.#inString) at = this.#takeString(chunk, at);
      else {
        this.#takeByte(chunk[at] ?? 0);
        at += 1;
      }
    }
  }

  #takeByte(byte: number): void {
    if (byte === QUOTE) this.#openString();
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.#open(byte === OPEN_OBJECT);
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) this.#close(byte === CLOSE_OBJECT);
    else if (this.#below === 0 && !SPACES.has(byte)) this.#takeNear(byte);
  }

  /** A byte of a number, of `true` and the like, or a mark between values, where we look closely. */
  #takeNear(byte: number): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined) this.state = 'broken';
    else if (byte === COLON) this.#expect(frame, 'colon', 'value');
    else if (byte === COMMA) {
      this.#expect(frame, 'comma', frame.isObject ? 'name' : 'value');
      frame.at += 1;
    } else if (frame.expects === 'value') this.#tell(frame, null);
    // The rest of a number or a word follows its first byte; elsewhere it has no business.
    else if (frame.expects !== 'comma') this.state = 'broken';
  }

  #expect(frame: Frame, expected: Frame['expects'], next: Frame['expects']): void {
    if (frame.expects === expected) frame.expects = next;
    else this.state = 'broken';
  }

  #tell(frame: Frame, text: string | null): void {
    frame.expects = 'comma';
    this.#visit(
      this.#frames.map(({ isObject, name, at }) => (isObject ? name : at)),
      text,
    );
  }

  #open(isObject: boolean): void {
    const frame = this.#frames.at(-1);
    if (this.#below === 0 && frame !== undefined) {
      if (frame.expects !== 'value') {
        this.state = 'broken';
        return;
      }
      this.#tell(frame, null);
    }
    if (this.#frames.length === this.#limits.deepest) this.#below += 1;
    else this.#frames.push({ isObject, name: null, at: 0, expects: isObject ? 'name' : 'value' });
  }

  #close(isObject: boolean): void {
    if (this.#below > 0) {
      this.#below -= 1;
      return;
    }
    if (this.#frames.pop()?.isObject !== isObject) this.state = 'broken';
    else if (this.#frames.length === 0) this.state = 'whole';
  }

  #openString(): void {
    const frame = this.#frames.at(-1);
    const isNear = this.#below === 0;
    if (isNear && frame?.expects !== 'name' && frame?.expects !== 'value') {
      this.state = 'broken';
      return;
    }
    this.#inString = true;
    this.#escaped = false;
    this.#text = isNear ? [] : null;
    this.#textBytes = 0;
  }

  #takeString(chunk: Buffer, from: number): number {
    const { end, isClosed, escaped } = stringPart(chunk, from, this.#escaped);
    this.#escaped = escaped;
    this.#keep(chunk.subarray(from, end));
    if (!isClosed) return end;
    this.#closeString();
    return end + 1;
  }

  #keep(bytes: Buffer): void {
    if (this.#text === null) return;
    this.#textBytes += bytes.length;
    if (this.#textBytes > this.#limits.longestTextBytes) this.#text = null;
    // A copy: the piece it lies in may be large, and need not live as long as a name cut in two.
    else this.#text.push(Buffer.from(bytes));
  }

  #closeString(): void {
    this.#inString = false;
    const frame = this.#frames.at(-1);
    if (this.#below > 0 || frame === undefined) return;
    const text = this.#text === null ? null : textOf(Buffer.concat(this.#text));
    if (frame.expects === 'name') {
      frame.name = text;
      frame.expects = 'colon';
    } else this.#tell(frame, text);
  }
}

function textOf(raw: Buffer): string | null {
  try {
    const value: unknown = JSON.parse(`"${raw.toString('utf8')}"`);
    return typeof value === 'string' ? value : null;
  } catch {
    // An invalid escape, or a raw line end: no name that anybody could ask for.
    return null;
  }
}
