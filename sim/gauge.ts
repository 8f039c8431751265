/**
 * The pretend nvidia-smi: measures the pretend cards, and now and then for a while too late, not at all, or nonsense.
 * Owns nothing but the trouble it is in.
 */
import type { CardReading, GpuReading, ProcessUse } from '../src/core/vocabulary.js';
import { consumerId } from '../src/core/vocabulary.js';
import type { Cards } from './cards.js';
import type { Faults } from './faults.js';
import type { Random } from './random.js';
import type { Timeline } from './timeline.js';

const TROUBLES = [
  'reading_late',
  'reading_missing',
  'reading_absurd',
  'reading_words',
  'list_empty',
  'list_partial',
] as const;
type Trouble = (typeof TROUBLES)[number];

export interface GaugeWorld {
  readonly timeline: Timeline;
  readonly cards: Cards;
  readonly faults: Faults;
  readonly random: Random;
  /** Whether the driver tells memory by process. */
  readonly list: boolean;
  /** The daemon's clock. */
  readonly clock: () => number;
  readonly serviceIds: ReadonlySet<string>;
}

export type Measured = (reading: GpuReading | null, error: string | null) => void;

export class Gauge {
  readonly #world: GaugeWorld;
  #trouble: Trouble | null = null;
  #troubleUntil = 0;

  constructor(world: GaugeWorld) {
    this.#world = world;
  }

  measure(tell: Measured): void {
    const { timeline, random, clock } = this.#world;
    const trouble = this.#troubleNow();
    if (trouble === 'reading_missing') {
      timeline.after(random.whole(2, 30), () => tell(null, 'nvidia-smi: no devices were found'));
      return;
    }
    const startedAt = clock();
    timeline.after(random.whole(5, 30), () => {
      const reading = this.#read(startedAt, trouble);
      const lateMs = trouble === 'reading_late' ? random.whole(1000, 9000) : random.whole(2, 20);
      timeline.after(lateMs, () => tell(reading, null));
    });
  }

  #troubleNow(): Trouble | null {
    const { timeline, faults, random } = this.#world;
    if (faults.calm || timeline.now >= this.#troubleUntil) this.#trouble = null;
    if (this.#trouble !== null) return this.#trouble;
    for (const trouble of TROUBLES) {
      if (!faults.strikes(trouble)) continue;
      this.#trouble = trouble;
      this.#troubleUntil = timeline.now + random.whole(500, 15_000);
      return trouble;
    }
    return null;
  }

  #read(startedAt: number, trouble: Trouble | null): GpuReading {
    const { cards, clock, timeline, list } = this.#world;
    const words = trouble === 'reading_words';
    const indexes = cards.totalsMib.map((_, index) => index);
    return {
      source: 'nvidia-smi',
      startedAt,
      sampledAt: clock(),
      sampledWall: timeline.now,
      cards: indexes.map((index) => this.#card(index, trouble)),
      processes:
        !list || words ? null : trouble === 'list_empty' ? [] : indexes.flatMap((card) => this.#uses(card, trouble)),
    };
  }

  #card(index: number, trouble: Trouble | null): CardReading {
    const { cards } = this.#world;
    const words = trouble === 'reading_words';
    const totalMib = cards.totalsMib[index] ?? 0;
    const freeMib = cards.freeMib(index);
    return {
      index,
      uuid: `GPU-${index}`,
      name: 'pretend',
      totalMib: words ? null : totalMib,
      usedMib: words ? null : cards.usedMib(index),
      freeMib: words ? null : trouble === 'reading_absurd' ? 3 * totalMib + freeMib : freeMib,
      driverReservedMib: words ? null : cards.driverMib,
      utilizationPct: null,
      temperatureC: null,
      powerW: null,
    };
  }

  #uses(card: number, trouble: Trouble | null): ProcessUse[] {
    const { cards, serviceIds } = this.#world;
    const owners = cards.owners(card);
    return owners.flatMap((owner, index) => {
      const hidden = trouble === 'list_partial' && index === 0;
      // One process is not attributed to anybody, or not shown at all.
      if (hidden && owners.length % 2 === 0) return [];
      const consumer = serviceIds.has(owner) && !hidden ? consumerId(owner) : null;
      return [{ card, pid: 100 + index, name: owner, usedMib: cards.heldBy(owner, card), consumer }];
    });
  }
}
