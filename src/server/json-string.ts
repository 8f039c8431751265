/** Where a string of JSON ends, in bytes that come in chunks: from quote to quote, not byte by byte. Keeps nothing. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

export interface StringPart {
  /** Where its bytes in this chunk end: at the closing quote, or with the chunk. */
  readonly end: number;
  readonly isClosed: boolean;
  /** Whether what comes in the next chunk begins escaped. */
  readonly escaped: boolean;
}

/** `from`: the first byte of the string in this chunk. `escaped`: as the chunk before left it; false at its start. */
export function stringPart(chunk: Buffer, from: number, escaped: boolean): StringPart {
  let quote = chunk.indexOf(QUOTE, from);
  while (quote !== -1 && isEscaped(chunk, from, quote, escaped)) quote = chunk.indexOf(QUOTE, quote + 1);
  if (quote !== -1) return { end: quote, isClosed: true, escaped: false };
  return { end: chunk.length, isClosed: false, escaped: isEscaped(chunk, from, chunk.length, escaped) };
}

/** An odd number of backslashes stands before `at`. */
function isEscaped(chunk: Buffer, from: number, at: number, escaped: boolean): boolean {
  let start = at;
  while (start > from && chunk[start - 1] === BACKSLASH) start -= 1;
  const backslashes = at - start;
  // All the way to the beginning of the chunk: what came before it counts too.
  return start === from && escaped ? backslashes % 2 === 0 : backslashes % 2 === 1;
}
