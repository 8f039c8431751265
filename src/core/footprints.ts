/** How big a target is, from the best that is known: learned, declared, said by the consumer, or assumed. MiB. */
import type { LearnedTarget } from './memory.js';
import type { BrokerState, ConsumerState, TargetState } from './state.js';
import type { ConsumerId, FootprintSource } from './vocabulary.js';

/**
 * A process that unloaded keeps its CUDA context and libraries. Measured on an H100 (driver 580): 610 MiB by the context
 * alone, 708 to 804 MiB by PyTorch after it had worked. With the tolerance both are residue.
 */
const ASSUMED_RESIDUE_MIB = 720;
const RESIDUE_TOLERANCE = 1.2;
/** Of a target so small that nearly all of it could be residue, this much is expected back all the same. */
const BACK_AT_LEAST = 1 / 4;
/** The most of a card that is asked for on no more than a guess: a guess must not refuse for ever what would fit. */
const GUESSED_SHARE = 7 / 8;

export interface Footprint {
  readonly residentMib: number;
  readonly runMib: number;
  readonly source: FootprintSource;
}

export function footprintOf(state: BrokerState, target: TargetState): Footprint {
  const settings = state.consumers.get(target.target.consumer)?.settings;
  const learned = state.learned.get(target.name);
  const model = target.target.model;
  const declared = model === null ? settings?.declared : (settings?.models.get(model) ?? settings?.declared);
  const card = cardTotalMib(state, settings?.cards[0] ?? 0) ?? 0;
  const known = learned?.resident?.mib ?? declared?.residentMib ?? target.reportedMib;
  const mostMib = card * GUESSED_SHARE * (settings?.cards.length ?? 1);
  const residentMib = known ?? Math.min(target.guessedMib ?? card / 4, mostMib);
  const guessedRunMib = Math.max(card / 128, Math.min(card / 8, mostMib - residentMib));
  const source = learned?.resident != null ? 'learned' : declared?.residentMib != null ? 'declared' : 'assumed';
  return {
    residentMib: Math.ceil(residentMib),
    runMib: Math.ceil(learned?.run?.mib ?? declared?.runMib ?? guessedRunMib),
    source,
  };
}

export function learnedOf(state: BrokerState, target: TargetState): LearnedTarget {
  return state.learned.get(target.name) ?? { resident: null, run: null, loadMs: null, unloadMs: null };
}

/** The last total that was seen, else the configured one; null: neither. */
export function cardTotalMib(state: BrokerState, card: number): number | null {
  return state.totals.get(card) ?? state.settings.totalMib;
}

/** What this consumer keeps after a good unload, all its cards together. */
export function residueMib(state: BrokerState, id: ConsumerId): number {
  return state.residues.get(id)?.mib ?? ASSUMED_RESIDUE_MIB;
}

/** What comes back of so much once the consumer has unloaded its last target. */
export function withoutResidueMib(state: BrokerState, id: ConsumerId, mib: number): number {
  return Math.max(mib - residueMib(state, id), mib * BACK_AT_LEAST);
}

export function isOnlyResidue(state: BrokerState, id: ConsumerId, heldMib: number): boolean {
  return heldMib <= Math.max(residueMib(state, id), ASSUMED_RESIDUE_MIB) * RESIDUE_TOLERANCE;
}

/** Its share of a footprint on one of its cards: spread evenly, for want of better knowledge. */
export function shareMib(consumer: ConsumerState, mib: number): number {
  return Math.ceil(mib / consumer.settings.cards.length);
}
