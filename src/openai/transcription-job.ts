/**
 * Transcriptions and translations: a form whose `model` may stand behind the sound. The form goes on as it came but for
 * single fields. whisper-server's answers are told as the OpenAI API tells them. Keeps nothing.
 */
import type { OpenAiRoute } from '../adapters/adapter.js';
import type { AnswerCourse, HeldBody } from '../adapters/translation.js';
import { BrokerError } from '../errors.js';
import type { Exchange } from '../server/exchange.js';
import { errorCourse, typeOf } from './answers.js';
import { AUDIO_END, EventStream, NamedManner, plainStreamError } from './event-stream.js';
import { addedField, type Form, type FormPart, readForm } from './form.js';
import { patienceOf } from './patience.js';
import { ROUTES } from './routes.js';
import type { Destination } from './routing.js';
import { type Replacement, spliced } from './splice.js';
import { STREAM_HEADERS } from './waiting-stream.js';
import { type TranscriptWish, transcriptCourse, wishOf } from './whisper-answers.js';
import type { OpenAiWing } from './wing.js';

/** Runs the job; the body is released with it, or by the caller where this throws. */
export async function runTranscription(
  wing: OpenAiWing,
  route: OpenAiRoute,
  exchange: Exchange,
  body: HeldBody,
): Promise<void> {
  const form = await readForm(body, exchange.req.headers['content-type']);
  if (!form.parts.some(({ name, isFile }) => isFile && name === 'file')) {
    throw new BrokerError('bad_request', 'the form has no file: the sound must be in the part "file"', {
      param: 'file',
    });
  }
  const destination = await wing.destinationOf(route, textIn(form, 'model'));
  const { consumer, speaker } = destination;
  const wish = speaker.manner === 'whisper-server' ? wishOf(form) : null;
  wing.door.run({
    ...{ exchange, consumer, contentType: null, capability: ROUTES[route].capability },
    request: { method: 'POST', path: speaker.path, query: exchange.query },
    body: spliced(body, wish === null ? withModel(form, destination) : forWhisper(form, route, wish)),
    translation: { course: (head) => courseOf(route, exchange, destination, wish, head) },
    patienceMs: patienceOf(exchange.req, false),
  });
}

/** The last of equal names, as in JSON. */
export const partOf = (form: Form, name: string): FormPart | undefined =>
  form.parts.findLast((part) => part.name === name && !part.isFile);
export const textIn = (form: Form, name: string): string | null => partOf(form, name)?.value ?? null;

function withModel(form: Form, { model }: Destination): Replacement[] {
  const part = partOf(form, 'model');
  if (part === undefined || model === null || part.value === model) return [];
  return [{ start: part.start, end: part.end, bytes: Buffer.from(model) }];
}

/** It reads `translate` where the API has a path of its own. Working out how sure it is of the language costs it as much as the first pass. */
function forWhisper(form: Form, route: OpenAiRoute, wish: TranscriptWish): Replacement[] {
  const fields: Record<string, string> = {};
  if (route === 'translations') fields.translate = 'true';
  if (wish.format === 'verbose_json') fields.no_language_probabilities = 'true';
  const missing = Object.entries(fields).filter(([name]) => partOf(form, name) === undefined);
  const replaced = Object.entries(fields).flatMap(([name, value]) => {
    const part = partOf(form, name);
    return part === undefined || part.value === value
      ? []
      : [{ start: part.start, end: part.end, bytes: Buffer.from(value) }];
  });
  const added = missing.map(([name, value]) => addedField(form.boundary, name, value)).join('');
  const ordered = replaced.sort((a, b) => a.start - b.start);
  return added === '' ? ordered : [...ordered, { start: form.closesAt, end: form.closesAt, bytes: Buffer.from(added) }];
}

function courseOf(
  route: OpenAiRoute,
  exchange: Exchange,
  { consumer }: Destination,
  wish: TranscriptWish | null,
  head: Parameters<typeof transcriptHead>[0],
): AnswerCourse {
  if (!transcriptHead(head)) {
    return errorCourse({ exchange, route, consumer: consumer.id, errorEvent: plainStreamError });
  }
  if (typeOf(head.headers) === 'text/event-stream') {
    const translation = new EventStream(new NamedManner(AUDIO_END, plainStreamError), consumer.id);
    return { kind: 'pieces', status: head.status, headers: STREAM_HEADERS, translation };
  }
  return wish === null ? { kind: 'as_it_is' } : transcriptCourse(exchange, consumer.id, wish);
}

const transcriptHead = ({
  status,
}: {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}) => status >= 200 && status < 300;
