/**
 * An unload counts when a reading shows it, never because the consumer said so: the reading must have begun after the
 * unload was asked for, and the memory must be back in truth. Without readings it counts 2 s after the word at the soonest.
 */
import type { Command } from '../../src/core/commands.js';
import type { Fact } from '../../src/core/facts.js';
import { targetName } from '../../src/core/vocabulary.js';
import type { Bench, Judge } from './court.js';

const READING_LIFE_MS = 5000;
const BELIEVED_AFTER_MS = 2000;

export function createProofJudge({ world, complain }: Bench): Judge {
  const name = 'proof';
  const askedAt = new Map<string, number>();
  const saidAt = new Map<string, number>();
  let newestStart = -1;
  let latest = 0;
  let newestGoodSample = -Infinity;

  const noteCommand = (command: Command, clock: number): void => {
    // From the first time it was asked: what comes back meanwhile came back for that.
    if (command.type === 'RecordFact' && command.fact.type === 'target' && command.fact.to === 'evicting') {
      askedAt.set(command.fact.target.consumer, clock);
    }
    if (command.type === 'StartUnload') saidAt.delete(command.target.consumer);
    if (command.type === 'StopUnit') saidAt.delete(command.consumer);
  };
  const judgeFreed = (fact: Extract<Fact, { type: 'target' }>, how: 'reading' | 'said', clock: number): void => {
    const { consumer } = fact.target;
    const asked = askedAt.get(consumer) ?? Infinity;
    if (how === 'reading' && newestStart < asked) {
      complain(name, `${targetName(fact.target)} counts as gone, no reading began after it was asked`);
    }
    if (how === 'reading' && isTruthBinding(world)) {
      const label = `model ${fact.target.model ?? ''}`;
      const heldMib = world.cards.heldAs(consumer, label);
      if (heldMib > 0) complain(name, `${targetName(fact.target)} counts as gone and holds ${heldMib} MiB`);
    }
    // After a clock went back, nobody can tell how old a reading is.
    const ages = !world.faults.has('clock_backward');
    if (how === 'said' && ages && clock - newestGoodSample <= READING_LIFE_MS) {
      complain(name, `${targetName(fact.target)} is believed, although there is a reading`);
    }
    if (how === 'said' && clock - (saidAt.get(consumer) ?? Infinity) < BELIEVED_AFTER_MS) {
      complain(name, `${targetName(fact.target)} is believed too soon`);
    }
  };
  return {
    name,
    see(record) {
      const { event, commands } = record;
      // As the core does: a clock that goes back stands still.
      latest = Math.max(latest, record.clock);
      const clock = latest;
      const consumer =
        event.type === 'UnloadEnded' ? event.target.consumer : event.type === 'UnitStopped' ? event.consumer : null;
      if (consumer !== null && !saidAt.has(consumer)) saidAt.set(consumer, clock);
      if (event.type === 'CardMeasured' && event.reading !== null) {
        const isNews = event.reading.startedAt >= newestStart;
        newestStart = Math.max(newestStart, event.reading.startedAt);
        const good =
          isNews && event.reading.cards.every((card) => card.freeMib !== null && card.freeMib <= (card.totalMib ?? 0));
        if (good) newestGoodSample = event.reading.sampledAt;
      }
      for (const { fact } of commands.filter((command) => command.type === 'RecordFact')) {
        if (fact.type === 'target' && fact.reason.code === 'freed') judgeFreed(fact, fact.reason.how, clock);
      }
      for (const command of commands) noteCommand(command, clock);
    },
    reborn() {
      askedAt.clear();
      saidAt.clear();
      newestStart = -1;
      newestGoodSample = -Infinity;
      latest = 0;
    },
  };
}

/** Others who free or take memory at the same moment, or lying tools, could deceive anybody. */
function isTruthBinding({ faults, plan }: Bench['world']): boolean {
  const deceivers = [
    'death',
    'strangers',
    'foreign_work',
    'daemon_killed',
    'config_changes',
    'unload_was_before',
  ] as const;
  const lies = [
    'reading_absurd',
    'reading_words',
    'list_empty',
    'list_partial',
    'load_shows_less',
    'work_goes_on',
  ] as const;
  return plan.list && ![...deceivers, ...lies].some((fault) => faults.has(fault));
}
