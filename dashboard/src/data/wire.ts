/**
 * What the daemon sends, read once at the border: everything behind it can rely on these types. A field that an older
 * or newer daemon does not send is null. Keeps nothing.
 */
import * as z from 'zod/mini';

// The content policy forbids code made at run time, and zod would try whether it is allowed.
z.config({ jitless: true });

const textOrNull = z._default(z.nullable(z.string()), null);
const numberOrNull = z._default(z.nullable(z.number()), null);

const reasonSchema = z.object({
  code: z.string(),
  text: z.string(),
  holder: textOrNull,
  waits_for: textOrNull,
  need_mib: numberOrNull,
  free_mib: numberOrNull,
});

const jobSchema = z.object({
  id: z.string(),
  consumer: z.string(),
  model: textOrNull,
  capability: textOrNull,
  class: z.string(),
  client: z.string(),
  state: z._default(z.enum(['waiting', 'running', 'ended']), 'ended'),
  answered: z._default(z.boolean(), false),
  queued_at: z.string(),
  waited_ms: numberOrNull,
  position: numberOrNull,
  expected_wait_ms: numberOrNull,
  reason: z._default(z.nullable(reasonSchema), null),
  granted_at: textOrNull,
  first_byte_at: textOrNull,
  ended_at: textOrNull,
  end: textOrNull,
  code: textOrNull,
  message: textOrNull,
  reasons: z._default(z.array(z.extend(reasonSchema, { at: z.string() })), []),
});

const cardSchema = z.object({
  index: z.number(),
  name: textOrNull,
  total_mib: numberOrNull,
  used_mib: numberOrNull,
  free_mib: numberOrNull,
  driver_reserved_mib: numberOrNull,
  foreign_mib: numberOrNull,
  claimed_mib: numberOrNull,
  utilization_pct: numberOrNull,
  temperature_c: numberOrNull,
  power_w: numberOrNull,
});

const gpuSchema = z.object({
  source: textOrNull,
  sampled_at: textOrNull,
  age_ms: numberOrNull,
  error: textOrNull,
  reserve_mib: numberOrNull,
  cards: z.array(cardSchema),
});

const heldFields = {
  residency: z.string(),
  gpu_resident_mib: numberOrNull,
  gpu_resident_source: textOrNull,
  last_used_at: textOrNull,
  pinned: z._default(z.boolean(), false),
};

const consumerSchema = z.object({
  ...heldFields,
  kind: z.string(),
  url: z.string(),
  cards: z._default(z.array(z.number()), [0]),
  health: z.string(),
  health_error: textOrNull,
  checked_at: textOrNull,
  active: z.number(),
  queued: z.number(),
  total_requests: z.number(),
  failed_requests: z.number(),
  run_p50_ms: numberOrNull,
  run_p95_ms: numberOrNull,
  models: z._default(z.array(z.object({ ...heldFields, name: z.string() })), []),
});

const statusSchema = z.object({
  version: z.string(),
  started_at: z.string(),
  uptime_s: z.number(),
  policy: z.string(),
  state: z.string(),
  config: z.object({ file: textOrNull, error: textOrNull }),
  gpu: gpuSchema,
  scheduler: z.object({
    queue_depth: z.number(),
    in_flight: z.number(),
    total_jobs: z.number(),
    evictions: z.number(),
    loads: z.number(),
  }),
  consumers: z.record(z.string(), consumerSchema),
  jobs: z.array(jobSchema),
  jobs_omitted: z._default(z.number(), 0),
});

const whoamiSchema = z.object({
  address: z.string(),
  may_operate: z.boolean(),
  operators: z._default(z.array(z.string()), []),
  look_only: textOrNull,
});

const errorSchema = z.object({ error: z.object({ message: z.string() }) });

export type Reason = z.infer<typeof reasonSchema>;
export type Job = z.infer<typeof jobSchema>;
export type Card = z.infer<typeof cardSchema>;
export type Gpu = z.infer<typeof gpuSchema>;
export type Consumer = z.infer<typeof consumerSchema>;
export type Model = Consumer['models'][number];
export type Status = z.infer<typeof statusSchema>;
export type Whoami = z.infer<typeof whoamiSchema>;

export const readStatus = (value: unknown): Status => statusSchema.parse(value);
export const readJob = (value: unknown): Job => jobSchema.parse(value);
export const readJobs = (value: unknown): Job[] => z.object({ jobs: z.array(jobSchema) }).parse(value).jobs;
export const readWhoami = (value: unknown): Whoami => whoamiSchema.parse(value);

/** The daemon's own words, where it sent an error of its shape. */
export function readErrorMessage(value: unknown): string | null {
  const parsed = errorSchema.safeParse(value);
  return parsed.success ? parsed.data.error.message : null;
}

export { cardSchema, gpuSchema, jobSchema, textOrNull };
