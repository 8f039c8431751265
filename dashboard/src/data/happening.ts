/** One thing that happened, from the event stream or from history: the same shape, whichever told it. Keeps nothing. */
import * as z from 'zod/mini';
import { type Card, cardSchema, gpuSchema, type Job, jobSchema, textOrNull } from './wire.js';

interface At {
  /** Milliseconds since 1970 on the daemon's clock. */
  readonly at: number;
}

export type TargetMoved = At & {
  readonly event: 'target';
  readonly target: string;
  readonly from: string;
  readonly to: string;
  readonly reason: { readonly code: string; readonly text: string };
};

export type Happening =
  | (At & { readonly event: 'job'; readonly change: string; readonly job: Job })
  | TargetMoved
  | (At & { readonly event: 'out_of_memory'; readonly job: string; readonly target: string; readonly message: string })
  | (At & {
      readonly event: 'consumer';
      readonly consumer: string;
      readonly health: string;
      readonly health_error: string | null;
    })
  | (At & {
      readonly event: 'gpu';
      readonly cards: readonly Pick<Card, 'index' | 'used_mib' | 'total_mib'>[];
      readonly error: string | null;
      /** The whole reading; history keeps less. */
      readonly gpu: z.infer<typeof gpuSchema> | null;
    })
  | (At & {
      readonly event: 'config';
      readonly consumers_added: readonly string[];
      readonly consumers_removed: readonly string[];
    })
  | (At & { readonly event: 'operator'; readonly action: string; readonly by: string })
  | (At & { readonly event: 'daemon'; readonly change: string });

export type HappeningOf<E extends Happening['event']> = Extract<Happening, { readonly event: E }>;

const names = z._default(z.array(z.string()), []);

const told = z.discriminatedUnion('event', [
  z.object({ event: z.literal('job'), at: z.string(), change: z.string(), job: jobSchema }),
  z.object({
    event: z.literal('target'),
    at: z.string(),
    target: z.string(),
    from: z.string(),
    to: z.string(),
    reason: z._default(z.object({ code: z.string(), text: z.string() }), { code: '', text: '' }),
  }),
  z.object({
    event: z.literal('out_of_memory'),
    at: z.string(),
    job: z.string(),
    target: z.string(),
    message: z.string(),
  }),
  z.object({
    event: z.literal('consumer'),
    at: z.string(),
    consumer: z.string(),
    health: z.string(),
    health_error: textOrNull,
  }),
  z.object({
    event: z.literal('gpu'),
    at: z.string(),
    gpu: z._default(z.nullable(gpuSchema), null),
    cards: z._default(z.array(cardSchema), []),
    error: textOrNull,
  }),
  z.object({ event: z.literal('config'), at: z.string(), consumers_added: names, consumers_removed: names }),
  z.object({ event: z.literal('operator'), at: z.string(), action: z.string(), by: z.string() }),
  z.object({ event: z.literal('daemon'), at: z.string(), change: z.string() }),
]);

const historySchema = z.object({
  from: z.string(),
  to: z.string(),
  truncated: z.boolean(),
  before: z.array(z.looseObject({ event: z.string() })),
  records: z.array(z.looseObject({ event: z.string() })),
});

export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly truncated: boolean;
  readonly before: readonly Happening[];
  readonly records: readonly Happening[];
}

export function readStretch(value: unknown): Stretch {
  const { from, to, truncated, before, records } = historySchema.parse(value);
  const read = (list: readonly { event: string }[]) =>
    list.flatMap((record) => readHappening(record.event, record) ?? []);
  return { from: Date.parse(from), to: Date.parse(to), truncated, before: read(before), records: read(records) };
}

/** null: an event that this page does not know, or one that it cannot read; a newer daemon may send such. */
export function readHappening(event: string, data: unknown): Happening | null {
  if (typeof data !== 'object' || data === null) return null;
  const parsed = told.safeParse({ ...data, event });
  if (!parsed.success) return null;
  const found = parsed.data;
  const at = Date.parse(found.at);
  if (found.event !== 'gpu') return { ...found, at };
  return { ...found, at, cards: found.gpu?.cards ?? found.cards, error: found.gpu?.error ?? found.error };
}

export const EVENT_NAMES = ['job', 'target', 'out_of_memory', 'consumer', 'gpu', 'config', 'operator'] as const;
