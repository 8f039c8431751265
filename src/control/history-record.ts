/**
 * What of a fact is worth a line of history, as JSON: the data of its event, without what can be told from the rest.
 * Owns what was last written of the cards, so that a still card costs a line every 10 s. Never a body or a prompt.
 */
import type { JobView, TimedFact } from '../core/facts.js';
import type { GpuReading, MonotonicMs } from '../core/vocabulary.js';
import type { Clock } from '../runtime/ports.js';
import { eventData } from './event-json.js';
import { timedReasonJson } from './job-json.js';
import { isoTime, isoTimeOrNull } from './times.js';

/** A still card is written so often; one that moves, at every reading. */
const STILL_CARD_MS = 10_000;
/** A card moves when its use changes by so much of its total. */
const MOVES_BY = 0.005;

/** `at` must come first: readers find a line's time without parsing it. */
export type HistoryRecord = { readonly at: string; readonly event: string } & Readonly<Record<string, unknown>>;

export interface HistoryRecords {
  /** null: nothing worth a line. */
  of(fact: TimedFact): HistoryRecord | null;
}

export function createHistoryRecords(clock: Clock): HistoryRecords {
  let cardsAt: MonotonicMs | null = null;
  let usedMib: readonly (number | null)[] = [];
  let cardError: string | null = null;

  function cardsRecord(at: MonotonicMs, reading: GpuReading | null, error: string | null): HistoryRecord | null {
    const used = reading?.cards.map((card) => card.usedMib) ?? [];
    const still = error === cardError && !haveMoved(usedMib, used, reading);
    if (still && cardsAt !== null && at - cardsAt < STILL_CARD_MS) return null;
    cardsAt = at;
    usedMib = used;
    cardError = error;
    const cards = (reading?.cards ?? []).map((card) => ({
      index: card.index,
      used_mib: card.usedMib,
      total_mib: card.totalMib,
      utilization_pct: card.utilizationPct,
      temperature_c: card.temperatureC,
      power_w: card.powerW,
    }));
    return { at: isoTime(clock, at), event: 'gpu', ...(error === null ? {} : { error }), cards };
  }

  return {
    of({ at, fact }) {
      if (fact.type === 'gpu') return cardsRecord(at, fact.reading, fact.error);
      // The end of a job tells its whole life; what comes before it is in status as long as it lasts.
      if (fact.type === 'job' && fact.change !== 'ended') return null;
      if (fact.type === 'job') {
        return {
          at: isoTime(clock, at),
          event: 'job',
          change: 'ended',
          job: storedJob(fact.job, clock),
        };
      }
      return { at: isoTime(clock, at), event: fact.type, ...eventData(fact, at, clock, 'auto') };
    },
  };
}

function haveMoved(
  before: readonly (number | null)[],
  after: readonly (number | null)[],
  reading: GpuReading | null,
): boolean {
  if (before.length !== after.length) return true;
  return after.some((used, index) => {
    const was = before[index] ?? null;
    if (used === null || was === null) return used !== was;
    return Math.abs(used - was) >= MOVES_BY * (reading?.cards[index]?.totalMib ?? 0);
  });
}

/**
 * Without what is null (`JSON.stringify` leaves out what is undefined) and what an ended job always is;
 * `stored-job.ts` puts both back. Written out, since this is done for every job.
 */
function storedJob(job: JobView, clock: Clock): object {
  const { outcome } = job;
  return {
    id: job.id,
    consumer: job.consumer,
    model: job.model ?? undefined,
    capability: job.capability ?? undefined,
    class: job.class,
    client: job.client,
    answered: job.answered,
    queued_at: isoTime(clock, job.queuedAt),
    granted_at: isoTimeOrNull(clock, job.grantedAt) ?? undefined,
    first_byte_at: isoTimeOrNull(clock, job.firstByteAt) ?? undefined,
    ended_at: isoTimeOrNull(clock, job.endedAt) ?? undefined,
    end: outcome?.end,
    code: outcome?.code ?? undefined,
    message: outcome?.message ?? undefined,
    reasons: job.reasons.length === 0 ? undefined : job.reasons.map((each) => timedReasonJson(each, clock)),
  };
}
