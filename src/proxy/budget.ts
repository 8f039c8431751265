/**
 * Bytes that all requests share: bodies and read-ahead in memory, bodies on disk. Owns one count. The limit is asked
 * for each time, so a reload counts at once.
 */

export interface Budget {
  /** All or nothing; false: there is no room, nothing was taken. */
  take(sizeBytes: number): boolean;
  /**
   * For read-ahead, whose bytes are here already when we learn of them: always counted. False: no more should be read
   * ahead. That is said before the budget is full, so that slow readers alone never turn newcomers away.
   */
  hold(sizeBytes: number): boolean;
  give(sizeBytes: number): void;
  readonly usedBytes: number;
  readonly limitBytes: number;
}

/** The part of the budget that read-ahead may fill. */
const READ_AHEAD_SHARE = 7 / 8;

export function createBudget(limitBytes: () => number): Budget {
  let usedBytes = 0;
  return {
    take(sizeBytes) {
      if (usedBytes + sizeBytes > limitBytes()) return false;
      usedBytes += sizeBytes;
      return true;
    },
    hold(sizeBytes) {
      usedBytes += sizeBytes;
      return usedBytes <= limitBytes() * READ_AHEAD_SHARE;
    },
    give(sizeBytes) {
      usedBytes -= sizeBytes;
      if (usedBytes < 0) throw new Error(`a budget was given ${-usedBytes} bytes more than were taken`);
    },
    get usedBytes() {
      return usedBytes;
    },
    get limitBytes() {
      return limitBytes();
    },
  };
}
