/** Order statistics of small samples. */

/** Nearest rank; `share` 0 to 1. Throws for an empty sample: a benchmark without figures has failed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const found = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  if (found === undefined) throw new Error('a quantile of no values');
  return found;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);
