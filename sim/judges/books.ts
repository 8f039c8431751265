/**
 * The core's books of claims: each belongs to a grant that is out or to a load under way, each grant that needs room has
 * one, and when nothing runs, loads or waits there is none. The one judge that reads the books.
 */
import type { StepRecord } from '../daemon.js';
import { type Bench, type Judge, promisesOf } from './court.js';

export function createBooksJudge({ world, complain }: Bench): Judge {
  const name = 'books';
  /** Granted while room was made, and still running. */
  const owed = new Set<string>();
  return {
    name,
    see({ commands }: StepRecord) {
      const { state } = world.daemon;
      for (const command of commands) {
        if (command.type !== 'GrantJob' && command.type !== 'RetryJob') continue;
        if (promisesOf(world).makesRoom) owed.add(command.jobId);
      }
      for (const claim of state.claims) {
        const runs = claim.jobId !== null && state.grants.has(claim.jobId);
        const loads = state.targets.get(claim.target)?.residency === 'loading';
        if (!runs && !loads && claim.endsWithReadingAfter === null) {
          complain(name, `a ${claim.kind} claim of ${claim.mib} MiB for ${claim.target} belongs to nobody`);
        }
      }
      for (const id of owed) {
        const job = [...state.grants.values()].find((grant) => grant.id === id);
        if (job === undefined || !state.consumers.has(job.consumer)) owed.delete(id);
        else if (!state.claims.some((claim) => claim.jobId === id && claim.kind === 'run')) {
          complain(name, `${id} runs and nothing is claimed for its run`);
          owed.delete(id);
        }
      }
    },
    reborn: () => owed.clear(),
    finish() {
      const { claims } = world.daemon.state;
      const sum = claims.reduce((total, claim) => total + claim.mib, 0);
      if (claims.length > 0) complain(name, `at rest ${claims.length} claims are left: ${sum} MiB`);
    },
  };
}
