/** How long a consumer's jobs ran lately. Owns a bounded ring of durations; for showing and expecting, never for gating. */

const KEPT_RUNS = 128;

export class RunTimes {
  readonly #runsMs: number[] = [];
  #next = 0;

  add(runMs: number): void {
    this.#runsMs[this.#next] = runMs;
    this.#next = (this.#next + 1) % KEPT_RUNS;
  }

  /** Milliseconds; `share` 0 to 1 (nearest rank); null before the first run. */
  quantileMs(share: number): number | null {
    const sorted = [...this.#runsMs].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? null;
  }
}
