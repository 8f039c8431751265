/** The last jobs that ended, with what they waited for. Owns that bounded memory; fed by the journal alone. */
import type { JobView, TimedFact } from '../core/facts.js';
import { TransientMap } from '../core/transient-map.js';
import type { JournalPort } from '../runtime/ports.js';

export const KEPT_ENDED_JOBS = 500;

export interface EndedJobs {
  find(id: string): JobView | null;
  /** The newest first. */
  newest(most: number): JobView[];
  close(): void;
}

export function createEndedJobs(journal: JournalPort): EndedJobs {
  // In the order of their ends.
  const jobs = new TransientMap<string, JobView>();

  function note({ fact }: TimedFact): void {
    if (fact.type !== 'job' || fact.change !== 'ended') return;
    jobs.set(fact.job.id, fact.job);
    if (jobs.size <= KEPT_ENDED_JOBS) return;
    const oldest = jobs.keys().next();
    if (oldest.done !== true) jobs.delete(oldest.value);
  }

  for (const fact of journal.recentFacts()) note(fact);
  const close = journal.subscribe(note);
  return {
    find: (id) => jobs.get(id) ?? null,
    newest: (most) => (most <= 0 ? [] : [...jobs.values()].slice(-most).reverse()),
    close,
  };
}
