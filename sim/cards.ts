/**
 * The pretend cards: who holds how much, in truth. An allocation beyond the card fails, as the driver's does; nothing
 * else in the world decides about memory.
 */
interface Holding {
  readonly owner: string;
  readonly label: string;
  readonly card: number;
  readonly mib: number;
}

export class Cards {
  readonly totalsMib: readonly number[];
  /** What the driver keeps for itself on every card. */
  readonly driverMib: number;
  #held: Holding[] = [];
  #peaksMib: number[];

  constructor(totalsMib: readonly number[], driverMib: number) {
    this.totalsMib = totalsMib;
    this.driverMib = driverMib;
    this.#peaksMib = totalsMib.map(() => 0);
  }

  usedMib(card: number): number {
    return this.#sum((holding) => holding.card === card);
  }

  freeMib(card: number): number {
    return (this.totalsMib[card] ?? 0) - this.driverMib - this.usedMib(card);
  }

  /** The most that was ever used; never over the total, or the pretend card itself is wrong. */
  peakMib(card: number): number {
    return this.#peaksMib[card] ?? 0;
  }

  heldBy(owner: string, card?: number): number {
    return this.#sum((holding) => holding.owner === owner && (card === undefined || holding.card === card));
  }

  heldAs(owner: string, label: string): number {
    return this.#sum((holding) => holding.owner === owner && holding.label === label);
  }

  owners(card: number): string[] {
    return [...new Set(this.#held.filter((holding) => holding.card === card).map(({ owner }) => owner))].sort();
  }

  /** Spread evenly over the cards; all or nothing. */
  take(owner: string, label: string, cards: readonly number[], mib: number): boolean {
    const share = Math.ceil(mib / cards.length);
    if (share <= 0) return true;
    if (cards.some((card) => this.freeMib(card) < share)) return false;
    for (const card of cards) {
      this.#held.push({ owner, label, card, mib: share });
      this.#peaksMib[card] = Math.max(this.peakMib(card), this.usedMib(card));
    }
    return true;
  }

  give(owner: string, label: string): void {
    this.#held = this.#held.filter((holding) => holding.owner !== owner || holding.label !== label);
  }

  giveAll(owner: string): void {
    this.#held = this.#held.filter((holding) => holding.owner !== owner);
  }

  #sum(matches: (holding: Holding) => boolean): number {
    let sum = 0;
    for (const holding of this.#held) if (matches(holding)) sum += holding.mib;
    return sum;
  }
}
