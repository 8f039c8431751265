/**
 * The parts of a form (RFC 7578) as its bytes come by: where each begins and ends, and the values of the short ones. The
 * bytes themselves stay where they are, so that a form goes on as it came but for what is replaced. Holds one head and
 * the fields, never a file.
 */
import type { HeldBody } from '../adapters/translation.js';
import { BrokerError } from '../errors.js';

const LONGEST_HEAD_BYTES = 16 * 1024;
const LONGEST_VALUE_BYTES = 64 * 1024;
const MOST_PARTS = 1000;
const HEAD_END = Buffer.from('\r\n\r\n');

export interface FormPart {
  readonly name: string;
  readonly isFile: boolean;
  /** Of its content, in bytes of the body; `end` is the first byte behind it. */
  readonly start: number;
  readonly end: number;
  /** null: a file, or too long. */
  readonly value: string | null;
}

export interface Form {
  readonly parts: readonly FormPart[];
  /** Where the closing delimiter begins: what is added goes there. */
  readonly closesAt: number;
  readonly boundary: string;
}

/** Throws `bad_request` where it is no form, or one without an end. */
export async function readForm(body: HeldBody, contentType: string | undefined): Promise<Form> {
  const boundary = /^multipart\/form-data\s*;.*?\bboundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType ?? '');
  const name = boundary?.[1] ?? boundary?.[2];
  if (name === undefined) {
    throw new BrokerError('bad_request', 'the body must be a form: multipart/form-data with a boundary');
  }
  const scanner = new FormScanner(name);
  for await (const piece of body.read()) scanner.take(piece);
  return scanner.form();
}

class FormScanner {
  readonly #boundary: string;
  readonly #delimiter: Buffer;
  readonly #parts: FormPart[] = [];
  /** What was not decided yet; its first byte is byte `#at` of the body. */
  #window: Buffer;
  #at = -2;
  #state: 'before' | 'head' | 'content' | 'over' = 'before';
  #part: { name: string; isFile: boolean; start: number; value: Buffer[] | null; valueBytes: number } | null = null;
  #closesAt = -1;

  constructor(boundary: string) {
    this.#boundary = boundary;
    this.#delimiter = Buffer.from(`\r\n--${boundary}`);
    // As if a line had ended before the body: then the first delimiter looks like all others.
    this.#window = Buffer.from('\r\n');
  }

  take(piece: Buffer): void {
    if (this.#state === 'over') return;
    this.#window = this.#window.length === 0 ? piece : Buffer.concat([this.#window, piece]);
    while (this.#step());
    // The piece is somebody else's from now on.
    this.#window = Buffer.from(this.#window);
  }

  form(): Form {
    if (this.#state !== 'over') throw new BrokerError('bad_request', 'the form ends before its closing boundary');
    return { parts: this.#parts, closesAt: this.#closesAt, boundary: this.#boundary };
  }

  /** False: more bytes are needed. */
  #step(): boolean {
    switch (this.#state) {
      case 'before':
      case 'content':
        return this.#toDelimiter();
      case 'head':
        return this.#readHead();
      case 'over':
        return false;
    }
  }

  #toDelimiter(): boolean {
    const { length } = this.#delimiter;
    const found = this.#window.indexOf(this.#delimiter);
    // A delimiter may have begun in the last bytes.
    const safe = found === -1 ? this.#window.length - length + 1 : found;
    if (safe > 0) this.#pass(safe);
    if (found === -1 || this.#window.length < length + 2) return false;
    const next = this.#window.toString('latin1', length, length + 2);
    if (!/^(--|\r\n|[ \t])/.test(next)) {
      // Longer than the boundary: a piece of the content that looks like one.
      this.#pass(1);
      return true;
    }
    this.#closePart();
    if (next === '--') this.#closesAt = this.#at;
    // The head's own first line end is the delimiter's last.
    else this.#pass(length, false);
    this.#state = next === '--' ? 'over' : 'head';
    return next !== '--';
  }

  #readHead(): boolean {
    const end = this.#window.indexOf(HEAD_END);
    if (end === -1) {
      if (this.#window.length > LONGEST_HEAD_BYTES)
        throw new BrokerError('bad_request', 'a head in the form has no end');
      return false;
    }
    if (this.#parts.length >= MOST_PARTS)
      throw new BrokerError('bad_request', `the form has more than ${MOST_PARTS} parts`);
    const head = this.#window.toString('utf8', 0, end);
    this.#pass(end + HEAD_END.length);
    const disposition = /^content-disposition:\s*form-data\s*;(.*)$/im.exec(head)?.[1] ?? '';
    const isFile = /(^|;)\s*filename\*?=/i.test(disposition);
    this.#part = {
      ...{ name: nameIn(disposition), isFile, start: this.#at, value: isFile ? null : [], valueBytes: 0 },
    };
    this.#state = 'content';
    return true;
  }

  /** The next bytes are done with. */
  #pass(count: number, isContent = this.#state === 'content'): void {
    const part = this.#part;
    if (isContent && part?.value != null) {
      part.valueBytes += count;
      if (part.valueBytes > LONGEST_VALUE_BYTES) part.value = null;
      else part.value.push(Buffer.from(this.#window.subarray(0, count)));
    }
    this.#window = this.#window.subarray(count);
    this.#at += count;
  }

  #closePart(): void {
    const part = this.#part;
    if (part === null) return;
    const { name, isFile, start } = part;
    const value = part.value === null ? null : Buffer.concat(part.value).toString('utf8');
    this.#parts.push({ name, isFile, start, end: this.#at, value });
    this.#part = null;
  }
}

function nameIn(disposition: string): string {
  const found = /(?:^|;)\s*name=(?:"((?:\\.|[^"])*)"|([^\s;]+))/i.exec(disposition);
  return (found?.[1] ?? found?.[2] ?? '').replace(/\\(["\\])/g, '$1');
}

/** A field as it stands before the closing delimiter. */
export const addedField = (boundary: string, name: string, value: string): string =>
  `\r\n--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}`;
