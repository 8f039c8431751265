/**
 * whisper-server's answers as the OpenAI API tells them (read at whisper.cpp v1.9.3): `text` comes as `text/html`, one
 * line a segment, each with a blank before it; words stand inside their segments. Keeps nothing.
 */
import { z } from 'zod';
import type { AnswerCourse } from '../adapters/translation.js';
import type { ConsumerId } from '../core/vocabulary.js';
import { BrokerError } from '../errors.js';
import type { Exchange } from '../server/exchange.js';
import { sendWhole } from './answers.js';
import type { Form } from './form.js';
import { answerOf } from './json.js';

/** Hours of speech with times of every word. */
const LONGEST_BYTES = 64 * 1024 * 1024;
const FORMATS = ['json', 'text', 'srt', 'verbose_json', 'vtt'] as const;
const GRANULARITIES = ['word', 'segment'];

export interface TranscriptWish {
  readonly format: (typeof FORMATS)[number];
  readonly granularities: readonly string[];
}

const TYPES: Readonly<Record<TranscriptWish['format'], string>> = {
  json: 'application/json; charset=utf-8',
  text: 'text/plain; charset=utf-8',
  srt: 'application/x-subrip; charset=utf-8',
  vtt: 'text/vtt; charset=utf-8',
  verbose_json: 'application/json; charset=utf-8',
};

const wordSchema = z.object({ word: z.string(), start: z.number(), end: z.number() });
const verboseSchema = z.looseObject({
  text: z.string(),
  segments: z.array(z.looseObject({ text: z.string(), words: z.array(wordSchema).optional() })).default([]),
});
const plainSchema = z.looseObject({ text: z.string() });

/** Throws `bad_request` for a wish that it cannot grant. */
export function wishOf(form: Form): TranscriptWish {
  const asked = form.parts.findLast(({ name }) => name === 'response_format')?.value ?? 'json';
  const format = FORMATS.find((known) => known === asked);
  if (format === undefined) {
    const text = `response_format ${JSON.stringify(asked)} is not to be had here; ${FORMATS.join(', ')} are`;
    throw new BrokerError('bad_request', text, { param: 'response_format' });
  }
  const granularities = form.parts
    .filter(({ name }) => name === 'timestamp_granularities[]' || name === 'timestamp_granularities')
    .flatMap(({ value }) => (value ?? '').split(',').map((one) => one.trim()));
  const param = 'timestamp_granularities';
  const wrong = granularities.find((one) => !GRANULARITIES.includes(one));
  if (wrong !== undefined) {
    const text = `${param} are word and segment, not ${JSON.stringify(wrong)}`;
    throw new BrokerError('bad_request', text, { param });
  }
  if (granularities.length > 0 && format !== 'verbose_json') {
    throw new BrokerError('bad_request', `${param} needs response_format verbose_json`, { param });
  }
  return { format, granularities };
}

export function transcriptCourse(exchange: Exchange, consumer: ConsumerId, wish: TranscriptWish): AnswerCourse {
  return {
    kind: 'whole',
    mostBytes: LONGEST_BYTES,
    deliver({ body, headers }) {
      const told = translated(body.toString('utf8'), wish, consumer);
      sendWhole(exchange, { status: 200, contentType: TYPES[wish.format], body: told, headers });
      return Promise.resolve();
    },
  };
}

function translated(text: string, wish: TranscriptWish, consumer: ConsumerId): string {
  switch (wish.format) {
    case 'srt':
    case 'vtt':
      return text;
    case 'text':
      return `${asOneLine(text)}\n`;
    case 'json':
      return JSON.stringify({ text: asOneLine(answerOf(plainSchema, text, consumer, 'transcript').text) });
    case 'verbose_json':
      return JSON.stringify(verbose(answerOf(verboseSchema, text, consumer, 'transcript'), wish));
  }
}

/** Each segment brings its own blank. */
const asOneLine = (text: string): string => text.replace(/\r?\n/g, '').trim();

function verbose(answer: z.infer<typeof verboseSchema>, { granularities }: TranscriptWish): object {
  const { segments, text, ...rest } = answer;
  const words = segments.flatMap((segment) => segment.words ?? []);
  const bare = segments.map(({ words: _, ...segment }) => ({ seek: 0, ...segment }));
  const wantsWords = granularities.includes('word');
  return {
    ...rest,
    text: asOneLine(text),
    ...(wantsWords ? { words: words.map(({ word, start, end }) => ({ word: word.trim(), start, end })) } : {}),
    ...(wantsWords && !granularities.includes('segment') ? {} : { segments: bare }),
  };
}
