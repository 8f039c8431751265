/**
 * ollama's spelling: JSON as Go writes it, times, durations, and the request bodies of its native routes (0.33).
 * Owns nothing.
 */
import { z } from 'zod';

const ESCAPED: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

/** Go's encoder escapes what could end a script element. */
export const goJson = (value: unknown): string =>
  JSON.stringify(value).replaceAll(/[<>&\u2028\u2029]/g, (character) => ESCAPED[character] ?? character);

/** RFC 3339 with nanoseconds, of which the last six digits are zero here. */
export const goTime = (date: Date): string => date.toISOString().replace('Z', '000000Z');

export const nanoseconds = (durationMs: number): number => Math.round(durationMs * 1e6);

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** A Go duration such as `1h30m`; null: not one. A bare `0` is one, a bare `300` is not. */
export function parseGoDuration(text: string): number | null {
  if (/^[+-]?0$/.test(text)) return 0;
  const match = /^([+-]?)((?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+)$/.exec(text);
  if (match === null) return null;
  let sumMs = 0;
  for (const [, number, unit] of (match[2] ?? '').matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g)) {
    sumMs += Number(number) * (UNIT_MS[unit ?? ''] ?? 0);
  }
  return match[1] === '-' ? -sumMs : sumMs;
}

/** Milliseconds; null: leave as it is. Negative is for ever, a number is seconds. */
const keepAliveSchema = z
  .union([z.number(), z.string(), z.null()])
  .optional()
  .transform((value, context): number | null => {
    if (value === undefined || value === null) return null;
    const durationMs = typeof value === 'number' ? value * 1000 : parseGoDuration(value);
    if (durationMs === null) {
      context.addIssue({ code: 'custom', message: `time: invalid duration "${value}"` });
      return z.NEVER;
    }
    return durationMs < 0 ? Number.POSITIVE_INFINITY : durationMs;
  });

const optionsSchema = z
  .object({ num_predict: z.number().optional(), seed: z.number().optional(), num_ctx: z.number().optional() })
  .nullish();

const jobShape = {
  model: z.string().default(''),
  keep_alive: keepAliveSchema,
  stream: z.boolean().nullish(),
  options: optionsSchema,
};

export const generateSchema = z.object({ ...jobShape, prompt: z.string().default(''), system: z.string().default('') });

export const chatSchema = z.object({
  ...jobShape,
  messages: z.array(z.object({ role: z.string(), content: z.string().default('') })).nullish(),
});

export const embedSchema = z.object({
  ...jobShape,
  input: z.union([z.string(), z.array(z.string())]).optional(),
  prompt: z.string().optional(),
});

export const namedSchema = z.object({ model: z.string().optional(), name: z.string().optional() });

/** What an error of ollama's native routes looks like. */
export class OllamaError extends Error {
  override readonly name = 'OllamaError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Parses a body or throws the 400 that ollama answers with. */
export function parseBody<T>(schema: z.ZodType<T>, body: Buffer): T {
  if (body.length === 0) throw new OllamaError(400, 'missing request body');
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new OllamaError(400, error instanceof Error ? error.message : 'invalid JSON');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue?.path.join('.') ?? '';
  throw new OllamaError(400, `json: cannot unmarshal field ${at} of the request: ${issue?.message ?? 'invalid'}`);
}
