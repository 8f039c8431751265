/**
 * The leaves of the schema: each checks one value of the file, says what is wrong with it and what would be right,
 * and tells the JSON Schema what it can of the same. Owns no state.
 */
import * as z from 'zod';
import { type Capability, JOB_CLASSES, type JobClass } from '../core/vocabulary.js';
import { suggestion } from './nearest.js';
import * as values from './values.js';

/** A type error in our words; undefined hands over to the words for a missing or empty value (`issues.ts`). */
type Complaint = { readonly input?: unknown };
export const unlessAbsent = (message: string) => (issue: Complaint) =>
  issue.input === undefined || issue.input === null ? undefined : message;

/** A text in one of the small languages of `values.ts`. */
function text<T>(
  read: (given: string) => values.Reading<T>,
  wrongType: string,
  forEditors: { pattern?: string; examples?: string[] } = {},
) {
  return z
    .string({ error: unlessAbsent(wrongType) })
    .meta(forEditors)
    .transform((given, context): T => {
      const reading = read(given);
      if ('value' in reading) return reading.value;
      context.issues.push({ code: 'custom', input: given, message: reading.wrong });
      return z.NEVER;
    });
}

/** What a number means where a duration belongs is anybody's guess, so it is refused. */
const NOT_A_DURATION = 'not a duration; say a duration such as 5s';
const DURATION_FOR_EDITORS = { pattern: values.DURATION_PATTERN, examples: ['250ms', '5s', '10m', '1h'] };

/** Milliseconds; 0 is allowed. */
export const durationOrZero = text(values.readDuration, NOT_A_DURATION, DURATION_FOR_EDITORS);

/** Milliseconds, more than 0. */
export const duration = text(
  (given) => {
    const reading = values.readDuration(given);
    return 'value' in reading && reading.value === 0 ? { wrong: 'no time at all; say a duration such as 5s' } : reading;
  },
  NOT_A_DURATION,
  DURATION_FOR_EDITORS,
);

/** Milliseconds; null: for ever, written 0. */
export const durationOrForever = z
  .union([z.literal(0), duration], { error: unlessAbsent('not a duration; say a duration such as 5s, or 0 for ever') })
  .transform((value) => (value === 0 ? null : value));

export const whole = (least: number, most: number, unit: string) =>
  z
    .int({ error: unlessAbsent(`not a whole number; write a number of ${unit}, without a unit`) })
    .min(least, { error: `too small; at least ${least} ${unit}` })
    .max(most, { error: `too large; at most ${most} ${unit}` });

/** Larger than any card and any disk that this program will see; keeps sums far from losing digits. */
const MOST_MIB = 64 * 1024 * 1024;
export const mib = whole(1, MOST_MIB, 'MiB');
export const mibOrZero = whole(0, MOST_MIB, 'MiB');

export const yesOrNo = z.boolean({ error: unlessAbsent('neither true nor false; write true or false') });

/** One of a few words. `later`: words that are planned; they are refused with a sentence of their own. */
export function word<const T extends string>(known: readonly T[], later: Readonly<Record<string, string>> = {}) {
  return z.enum(known, {
    error: ({ input }) => {
      if (input === undefined || input === null) return undefined;
      if (typeof input !== 'string') return `not a word; one of ${known.join(', ')}`;
      const planned = Object.hasOwn(later, input) ? later[input] : undefined;
      return planned === undefined ? `not one of the known words; ${suggestion(input, known)}` : planned;
    },
  });
}

export const jobClass = word<JobClass>(JOB_CLASSES);

/** A key whose feature comes later. Refused, because a key that is ignored is a promise that is broken. */
export const notYet = (instead: string) =>
  z.never({ error: `not yet: this version does not have it; remove the key${instead}` }).optional();

/** One value or a list of them; always a list afterwards. */
export const oneOrMore = <T extends z.ZodType>(item: T, message: string) =>
  z
    .union([item, z.array(item).min(1, { error: 'an empty list; write at least one entry' })], {
      error: unlessAbsent(message),
    })
    .transform((given): z.output<T>[] => (Array.isArray(given) ? given : [given]));

export const bindAddress = text(values.readBindAddress, 'not an address; write for instance 127.0.0.1:8770');
export const network = text(values.readNetwork, 'not a network; write for instance 192.168.0.0/16');
export const hostPattern = text(values.readHostPattern, 'not a host name; write for instance gpu.example.org');
export const origin = text(values.readOrigin, 'not an origin; write for instance https://chat.example.org', {
  examples: ['https://chat.example.org'],
});
export const serviceUrl = text(values.readServiceUrl, 'not an address; write for instance http://127.0.0.1:8766', {
  pattern: '^http://',
  examples: ['http://127.0.0.1:8766'],
});
export const path = text(values.readPath, 'not a path; write for instance /health', { pattern: '^/' });
export const passPattern = text(values.readPassPattern, 'not METHOD /path; write for instance POST /api/show', {
  pattern: '^[A-Z*]+ /',
});
export const unit = text(values.readUnit, 'not the name of a unit; write for instance comfyui.service');
export const pattern = text(values.readPattern, 'not a regular expression; write it as text, in single quotes');
export const stateFolder = text(values.readStateFolder, 'not a path; write an absolute one');
export const consumerName = z.string({ error: unlessAbsent('not a name; write the name of one consumer') });

export const aliasTarget = text(values.readAliasTarget, 'not a model; write CONSUMER or CONSUMER/MODEL', {
  examples: ['ollama/qwen3:8b'],
});

export const pictureSize = text(values.readPictureSize, 'not a size; write for instance 1024x1024', {
  pattern: '^[0-9]+x[0-9]+$',
});

export const listOf = <T extends z.ZodType>(item: T, message: string) =>
  z.array(item, { error: unlessAbsent(message) });

/** One optional value per capability. */
export const perCapability = <T extends z.ZodType>(item: T) =>
  z.strictObject({
    tts: item.optional(),
    stt: item.optional(),
    llm: item.optional(),
    image: item.optional(),
  } satisfies Record<Capability, unknown>);
