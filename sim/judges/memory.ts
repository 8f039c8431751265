/**
 * Memory in truth. The pretend card decides: who asks for more than there is runs out of it. Where sizes are as
 * declared and nobody else takes memory, nobody does; where true runs are two fifths above what is declared, once a
 * target at most, and no job is lost.
 */
import { targetName } from '../../src/core/vocabulary.js';
import type { FaultName } from '../faults.js';
import type { Bench, Judge } from './court.js';

/** None of these makes anybody take what the broker could not know of. */
const HARMLESS: readonly FaultName[] = [
  'load_fails',
  'load_hangs',
  'unload_lies',
  'unload_hangs',
  'unload_refused',
  'unload_late',
  'unit_fails',
  'client_leaves',
  'run_hangs',
  'flood',
  'operators',
  'silence',
];

export function createMemoryJudge({ world, complain }: Bench): Judge {
  const name = 'memory';
  const ranOut = new Map<string, number>();
  const targets = new Map<string, string>();
  const applies = world.plan.settings.policy === 'vram-lru';
  // With a flood their runs are too short for a reading to show what they take.
  const isHungry = world.faults.has('hungry') && world.faults.hasOnly(['hungry', 'flood']);
  const note = (target: string): void => {
    ranOut.set(target, (ranOut.get(target) ?? 0) + 1);
    if (applies && world.faults.hasOnly(HARMLESS)) complain(name, `${target} ran out of memory`);
    const often = ranOut.get(target) ?? 0;
    if (applies && isHungry && often > 1) complain(name, `${target} ran out of memory ${often} times`);
  };
  return {
    name,
    see({ event, commands }) {
      if (event.type === 'JobArrived') {
        const consumer = world.daemon.state.jobs.get(event.jobId)?.consumer;
        if (consumer !== undefined) targets.set(event.jobId, targetName({ consumer, model: event.model }));
      }
      if (event.type === 'OutOfMemorySeen') note(targets.get(event.jobId) ?? event.jobId);
      if (event.type === 'JobEnded' && event.outcome.code === 'gpu_out_of_memory') note(targets.get(event.jobId) ?? '');
      if (event.type === 'LoadEnded' && event.error?.includes('out of memory')) note(targetName(event.target));
      if (!applies || !isHungry) return;
      for (const { fact } of commands.filter((command) => command.type === 'RecordFact')) {
        const { outcome, id } = fact.type === 'job' ? fact.job : { outcome: null, id: '' };
        const lost = fact.type === 'job' && fact.change === 'ended' && outcome?.end !== 'done';
        // Where the answer went out before the work, nobody can try again.
        const answered = fact.type === 'job' && fact.job.answered && outcome?.code === 'gpu_out_of_memory';
        const crowd = outcome?.code === 'queue_full' || outcome?.code === 'queue_timeout';
        if (lost && !answered && !crowd) complain(name, `${id} is lost: ${outcome?.code} ${outcome?.message}`);
      }
    },
    finish() {
      for (const [card, totalMib] of world.plan.totalsMib.entries()) {
        if (world.cards.peakMib(card) > totalMib) complain(name, `card ${card} held more than it has`);
      }
    },
  };
}
