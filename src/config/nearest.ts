/** "Did you mean": the known word that a mistyped one is closest to. Owns no state. */

/** Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other. */
function distance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1];
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      current[column] = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? 0;
}

/** `Time-out` and `timeout` are the same word to a person. */
const plain = (word: string): string => word.toLowerCase().replace(/[-_. ]/g, '');

/** Longer words are certainly not typing errors of ours, and comparing them costs the product of the lengths. */
const LONGEST_WORD = 64;

/** Close enough (a third of the word may be wrong), the nearest first. */
function mistyped(word: string, known: readonly string[]): string[] {
  if (word.length > LONGEST_WORD) return [];
  return known
    .map((candidate) => ({ candidate, steps: distance(plain(word), plain(candidate)) }))
    .filter(({ candidate, steps }) => steps <= Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3)))
    .sort((a, b) => a.steps - b.steps)
    .map(({ candidate }) => candidate);
}

/** null where nothing known is close enough. */
export function nearest(word: string, known: readonly string[]): string | null {
  return mistyped(word, known)[0] ?? null;
}

/** Mistyped, or a part of the name, as `qwen3` is of `qwen3:8b`: the nearest first, at most `most`. */
export function nearestNames(word: string, known: readonly string[], most: number): string[] {
  const part = plain(word);
  const whole = part === '' ? [] : known.filter((candidate) => plain(candidate).includes(part));
  return [...new Set([...mistyped(word, known), ...whole])].slice(0, most);
}

/** The end of a sentence: `; did you mean "gpu"?`, or `; known: a, b`, or nothing known. */
export function suggestion(word: string, known: readonly string[]): string {
  const candidate = nearest(word, known);
  if (candidate !== null) return `did you mean ${JSON.stringify(candidate)}?`;
  return known.length === 0 ? 'nothing is known here, remove it' : `known here: ${known.join(', ')}`;
}
