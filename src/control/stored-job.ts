/** A job as a line of history keeps it, read back into the shape that `/v1/jobs/ID` answers with. Keeps nothing. */
import { z } from 'zod';
import type { JobDetailJson } from './job-json.js';

const textOrNull = z.string().nullable().default(null);
const reason = z.looseObject({ at: z.string(), code: z.string(), text: z.string() });

const storedJob = z.object({
  id: z.string(),
  consumer: z.string(),
  model: textOrNull,
  capability: textOrNull,
  class: z.string(),
  client: z.string(),
  answered: z.boolean().default(false),
  queued_at: z.string(),
  granted_at: textOrNull,
  first_byte_at: textOrNull,
  ended_at: textOrNull,
  end: textOrNull,
  code: textOrNull,
  message: textOrNull,
  reasons: z.array(reason).default([]),
});

const storedEnd = z.object({ event: z.literal('job'), change: z.literal('ended'), job: storedJob });

/** null: the line is not the end of a job, or not readable. */
export function storedJobOf(line: string): JobDetailJson | null {
  const parsed = storedEnd.safeParse(parseOrNull(line));
  if (!parsed.success) return null;
  const { job } = parsed.data;
  const over = job.granted_at ?? job.ended_at;
  return {
    ...job,
    state: 'ended',
    waited_ms: over === null ? 0 : between(job.queued_at, over),
    position: null,
    expected_wait_ms: null,
    reason: null,
    run_ms: job.granted_at === null || job.ended_at === null ? null : between(job.granted_at, job.ended_at),
  };
}

const between = (from: string, to: string): number => Math.max(0, Date.parse(to) - Date.parse(from));

function parseOrNull(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // A line that was torn by a kill is not an error: the lines around it still tell.
    return null;
  }
}
