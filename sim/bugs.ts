/**
 * Bugs on purpose, planted around the core and not in it: each must be seen by a judge. A judge that cannot complain
 * proves nothing.
 */
import { step } from '../src/core/broker.js';
import type { Command } from '../src/core/commands.js';
import type { BrokerState } from '../src/core/state.js';
import type { GpuReading, Target } from '../src/core/vocabulary.js';
import type { StepFunction } from './daemon.js';

/** A run begins, and nothing is set aside for it. */
export const dropClaims: StepFunction = (state, event, now) => {
  const result = step(state, event, now);
  const granted = result.commands.filter((command) => command.type === 'GrantJob').map(({ jobId }) => jobId);
  state.claims = state.claims.filter((claim) => claim.jobId === null || !granted.includes(claim.jobId));
  return result;
};

/** The consumer's word counts as if a reading had shown it. */
export const believeUnloads: StepFunction = (state, event, now) => {
  const said = step(state, event, now);
  const forged = event.type === 'UnloadEnded' ? readingWithout(state, event.target, now) : null;
  if (forged === null) return said;
  const seen = step(state, { type: 'CardMeasured', reading: forged, error: null }, now);
  return { commands: [...said.commands, ...seen.commands], wakeAt: seen.wakeAt };
};

function readingWithout(state: BrokerState, target: Target, now: number): GpuReading | null {
  const { reading, operation } = state;
  if (reading === null || operation?.kind !== 'unload' || operation.consumer !== target.consumer) return null;
  const cards = reading.cards.map((card) => ({ ...card, freeMib: card.totalMib, usedMib: 0 }));
  const processes = reading.processes?.filter((use) => use.consumer !== target.consumer) ?? null;
  return { ...reading, startedAt: now, sampledAt: now, cards, processes };
}

/** Who is told of his end is told again. */
export const endTwice: StepFunction = (state, event, now) => {
  const result = step(state, event, now);
  const isEnd = (command: Command): boolean =>
    command.type === 'RecordFact' && command.fact.type === 'job' && command.fact.change === 'ended';
  const commands = result.commands.flatMap((command) => (isEnd(command) ? [command, command] : [command]));
  return { ...result, commands };
};
