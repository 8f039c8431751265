/** The cards as status and events show them. A reading that grew old is shown with its age, then not believed. */
import type { CardSnapshot } from '../core/snapshot.js';
import type { CardReading, GpuReading, MonotonicMs } from '../core/vocabulary.js';
import { wholeMs } from './times.js';

/** Older figures turn unknown: what is in VRAM can be anything by then. */
export const FIGURES_VALID_MS = 30_000;

export interface CardJson {
  readonly index: number;
  readonly uuid: string | null;
  readonly name: string | null;
  readonly total_mib: number | null;
  readonly used_mib: number | null;
  readonly free_mib: number | null;
  readonly driver_reserved_mib: number | null;
  readonly foreign_mib: number | null;
  readonly claimed_mib: number | null;
  readonly utilization_pct: number | null;
  readonly temperature_c: number | null;
  readonly power_w: number | null;
}

export interface GpuJson {
  /** null: no source has answered yet. */
  readonly source: string | null;
  readonly sampled_at: string | null;
  readonly age_ms: number | null;
  readonly error: string | null;
  readonly cards: readonly CardJson[];
}

export interface GpuKnowledge {
  readonly reading: GpuReading | null;
  readonly error: string | null;
  /** The source that the configuration asks for, as long as none has answered. */
  readonly askedSource: 'auto' | 'nvidia-smi' | 'none';
  /** What the ledger adds; absent where only the reading is told. */
  readonly ledger?: readonly CardSnapshot[];
}

export function gpuJson({ reading, error, askedSource, ledger }: GpuKnowledge, now: MonotonicMs): GpuJson {
  if (reading === null) {
    return { source: askedSource === 'auto' ? null : askedSource, sampled_at: null, age_ms: null, error, cards: [] };
  }
  const valid = areFiguresValid(reading, now);
  return {
    source: reading.source,
    sampled_at: new Date(reading.sampledWall).toISOString(),
    age_ms: wholeMs(now - reading.sampledAt),
    error,
    cards: reading.cards.map((card) => {
      const known = ledger?.find(({ index }) => index === card.index);
      return valid ? cardJson(card, known) : { ...cardJson(card, known), ...NO_FIGURES };
    }),
  };
}

export function areFiguresValid(reading: GpuReading, now: MonotonicMs): boolean {
  return now - reading.sampledAt <= FIGURES_VALID_MS;
}

/** What a card is (its name, its size) does not grow old; what it does, does. */
const NO_FIGURES = {
  used_mib: null,
  free_mib: null,
  driver_reserved_mib: null,
  foreign_mib: null,
  utilization_pct: null,
  temperature_c: null,
  power_w: null,
};

function cardJson(card: CardReading, known: CardSnapshot | undefined): CardJson {
  return {
    index: card.index,
    uuid: card.uuid,
    name: card.name,
    total_mib: card.totalMib,
    used_mib: card.usedMib,
    free_mib: card.freeMib,
    driver_reserved_mib: card.driverReservedMib,
    foreign_mib: known?.foreignMib == null ? null : Math.round(known.foreignMib),
    claimed_mib: known === undefined ? null : Math.round(known.claimedMib),
    utilization_pct: card.utilizationPct,
    temperature_c: card.temperatureC,
    power_w: card.powerW,
  };
}
