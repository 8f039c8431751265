/**
 * Writes one log line a fact: ends of jobs and changes of health for everybody, the rest for whoever looks closely.
 * Owns the last error of the card readings, to tell it once and not every 2 s. Never a body, a prompt or a key.
 */
import { describeMove } from '../core/describe.js';
import type { JobView, TimedFact } from '../core/facts.js';
import { targetName } from '../core/vocabulary.js';
import type { JournalPort, Log } from '../runtime/ports.js';
import { wholeMs, wholeMsOrNull } from './times.js';

/** Returns the way to stop. */
export function logFacts(journal: JournalPort, log: Log): () => void {
  let readingError: string | null = null;

  function write({ fact }: TimedFact): void {
    switch (fact.type) {
      case 'job':
        writeJob(log, fact.change, fact.job);
        return;
      case 'consumer':
        log[fact.health === 'down' ? 'warn' : 'info'](
          { consumer: fact.consumer, health: fact.health, cause: fact.error },
          `${fact.consumer} is ${fact.health}`,
        );
        return;
      case 'target':
        log.info(
          { target: targetName(fact.target), from: fact.from, to: fact.to, cause: describeMove(fact.reason) },
          `${targetName(fact.target)} is ${fact.to}`,
        );
        return;
      case 'out_of_memory':
        log.warn({ target: targetName(fact.target), job: fact.job, cause: fact.message }, 'out of GPU memory');
        return;
      case 'gpu':
        if (fact.error !== readingError) {
          if (fact.error === null) log.info({}, 'the card can be read again');
          else log.warn({ cause: fact.error }, 'the card cannot be read');
          readingError = fact.error;
        }
        log.debug({ cards: fact.reading?.cards ?? null }, 'card reading');
        return;
      case 'config':
        // `reload.ts` has told people already, with who asked and what needs a restart.
        log.debug({ added: fact.consumersAdded, removed: fact.consumersRemoved }, 'configuration in force');
        return;
      case 'operator':
        log.info({ action: fact.action, by: fact.by }, 'operator action');
    }
  }

  return journal.subscribe(write);
}

function writeJob(log: Log, change: string, job: JobView): void {
  const { id, consumer, model } = job;
  if (change !== 'ended' || job.outcome === null) {
    log.debug({ job: id, consumer, model, change }, `job ${change}`);
    return;
  }
  const { end, code, message } = job.outcome;
  const level = end === 'failed' || end === 'timed_out' ? 'warn' : 'info';
  log[level](
    {
      job: id,
      consumer,
      model,
      capability: job.capability,
      class: job.class,
      client: job.client,
      end,
      code,
      cause: message,
      wait_ms: wholeMs((job.grantedAt ?? job.endedAt ?? job.queuedAt) - job.queuedAt),
      run_ms: wholeMsOrNull(job.grantedAt === null || job.endedAt === null ? null : job.endedAt - job.grantedAt),
    },
    `job ${end}`,
  );
}
