/** A fact as `/v1/events` tells it: the event's name and its data. */
import { describeMove } from '../core/describe.js';
import type { Fact, TimedFact } from '../core/facts.js';
import { type MonotonicMs, targetName } from '../core/vocabulary.js';
import type { Clock } from '../runtime/ports.js';
import { type GpuKnowledge, gpuJson } from './gpu-json.js';
import { jobDetailJson } from './job-json.js';
import { isoTime } from './times.js';

/** One server-sent event, complete with its closing empty line. JSON has no line breaks, so one `data:` line does. */
export function eventText({ at, fact }: TimedFact, clock: Clock, askedSource: GpuKnowledge['askedSource']): string {
  const data = { at: isoTime(clock, at), ...eventData(fact, at, clock, askedSource) };
  return `event: ${fact.type}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The data without its time; history keeps the same. */
export function eventData(fact: Fact, at: MonotonicMs, clock: Clock, askedSource: GpuKnowledge['askedSource']): object {
  switch (fact.type) {
    case 'job':
      return { change: fact.change, job: jobDetailJson(fact.job, at, clock) };
    case 'target':
      return {
        target: targetName(fact.target),
        from: fact.from,
        to: fact.to,
        reason: { code: fact.reason.code, text: describeMove(fact.reason) },
      };
    case 'out_of_memory':
      return { job: fact.job, target: targetName(fact.target), message: fact.message };
    case 'consumer':
      return { consumer: fact.consumer, health: fact.health, health_error: fact.error };
    case 'gpu':
      return { gpu: gpuJson({ reading: fact.reading, error: fact.error, askedSource }, at) };
    case 'config':
      return { consumers_added: fact.consumersAdded, consumers_removed: fact.consumersRemoved };
    case 'operator':
      return { action: fact.action, by: fact.by };
  }
}
