/**
 * Speech: the body as it came where the consumer speaks this API, else as its configuration says; voices by the names
 * that clients know; WAV made into what was asked for while it streams. Keeps nothing.
 */
import { Readable } from 'node:stream';
import { z } from 'zod';
import type { OpenAiRoute } from '../adapters/adapter.js';
import type { AnswerCourse, HeldBody, WholeAnswer } from '../adapters/translation.js';
import type { ConsumerConfiguration, SpeechConfiguration } from '../config/configuration.js';
import { BrokerError } from '../errors.js';
import type { Exchange } from '../server/exchange.js';
import type { JsonScalar } from '../server/json-walk.js';
import { errorCourse, typeOf } from './answers.js';
import { hasFfmpeg, SPEECH_FORMATS, SPEECH_TYPES, type SpeechFormat, transcoded } from './audio-formats.js';
import { openFile } from './consumer-file.js';
import { AUDIO_END, EventStream, NamedManner, plainStreamError } from './event-stream.js';
import { jsonOf, requestOf } from './json.js';
import { membersOf, textOf } from './json-job.js';
import { patienceOf } from './patience.js';
import { ROUTES } from './routes.js';
import type { Destination } from './routing.js';
import { type Replacement, replaced, spliced } from './splice.js';
import { STREAM_HEADERS } from './waiting-stream.js';
import type { OpenAiWing } from './wing.js';

/** Ten minutes of WAV at 48 kHz in two channels, for consumers that answer with the sound itself. */
const LONGEST_SOUND_BYTES = 128 * 1024 * 1024;
const WANTED = ['model', 'input', 'voice', 'response_format'];

const bodySchema = z.looseObject({
  input: z.string(),
  voice: z.union([z.string(), z.object({ id: z.string() })]).optional(),
});

/** Runs the job; the body is released with it, or by the caller where this throws. */
export async function runSpeech(
  wing: OpenAiWing,
  route: OpenAiRoute,
  exchange: Exchange,
  body: HeldBody,
): Promise<void> {
  const members = await membersOf(body, WANTED);
  const destination = await wing.destinationOf(route, textOf(members, 'model'));
  const { consumer, speaker } = destination;
  const { speech } = consumer;
  const format = formatOf(textOf(members, 'response_format'));
  if (speech?.wavOnly === true && format !== 'wav' && !(await hasFfmpeg())) throw noFfmpeg(consumer, format);
  const sent =
    speech === null ? spliced(body, changes(members, destination)) : replaced(body, bodyFor(body, consumer, speech));
  wing.door.run({
    ...{ exchange, consumer, capability: ROUTES[route].capability },
    contentType: speech === null ? null : 'application/json',
    request: { method: 'POST', path: speaker.path, query: exchange.query },
    body: sent,
    translation: { course: (head) => courseOf(route, exchange, consumer, format, head) },
    patienceMs: patienceOf(exchange.req, false),
  });
}

function formatOf(asked: string | null): SpeechFormat {
  if (asked === null) return 'mp3';
  const format = SPEECH_FORMATS.find((known) => known === asked);
  if (format !== undefined) return format;
  const text = `response_format ${JSON.stringify(asked)} is none of ${SPEECH_FORMATS.join(', ')}`;
  throw new BrokerError('bad_request', text, { param: 'response_format' });
}

function noFfmpeg({ id }: ConsumerConfiguration, format: SpeechFormat): BrokerError {
  const text = `${id} makes WAV only, and there is no ffmpeg here to make ${format} of it; ask for response_format wav, or install ffmpeg`;
  return new BrokerError('bad_request', text, { param: 'response_format', consumer: id });
}

/** null: what the client said stays. */
function voiceOf(asked: string | null, { id, voices, defaultVoice }: ConsumerConfiguration): string | null {
  const known = asked === null ? undefined : voices.get(asked);
  if (known !== undefined) return known;
  const isOwn = asked !== null && [...voices.values()].includes(asked);
  if (isOwn || (asked !== null && voices.size === 0)) return null;
  if (defaultVoice !== null || asked === null) return defaultVoice;
  const names = [...voices.keys()].join(', ');
  throw new BrokerError('bad_request', `${id} has no voice ${JSON.stringify(asked)}; it has ${names}`, {
    param: 'voice',
  });
}

/** For a consumer that speaks the API: the model's and the voice's name, and nothing else. */
function changes(members: ReadonlyMap<string, JsonScalar>, { consumer, model }: Destination): Replacement[] {
  const input = members.get('input');
  if (input === undefined)
    throw new BrokerError('bad_request', 'input, the text to be spoken, is missing', { param: 'input' });
  const named = members.get('model');
  const voice = members.get('voice');
  const meant = voiceOf(typeof voice?.value === 'string' ? voice.value : null, consumer);
  const found: Replacement[] = [];
  const replace = (member: JsonScalar, text: string) =>
    found.push({ start: member.start, end: member.end, bytes: Buffer.from(JSON.stringify(text)) });
  if (named !== undefined && model !== null && named.value !== model) replace(named, model);
  if (meant !== null && voice !== undefined) replace(voice, meant);
  if (meant !== null && voice === undefined) {
    found.push({ start: input.end, end: input.end, bytes: Buffer.from(`,"voice":${JSON.stringify(meant)}`) });
  }
  return found.sort((a, b) => a.start - b.start);
}

/** For a consumer with a body of its own: what it does not know by our names goes by its names. */
function bodyFor(body: HeldBody, consumer: ConsumerConfiguration, speech: SpeechConfiguration): Buffer {
  if (body.inMemory === null)
    throw new BrokerError('bad_request', 'input is too long to be spoken', { param: 'input' });
  const asked = requestOf(bodySchema, body.inMemory, (member) => `${member || 'the body'} is missing or no text`);
  const { input, voice, model: _model, response_format, stream_format: _stream, ...rest } = asked;
  const named = voice === undefined || typeof voice === 'string' ? (voice ?? null) : voice.id;
  const meant = voiceOf(named, consumer) ?? named;
  return Buffer.from(
    JSON.stringify({
      ...rest,
      [speech.textMember]: input,
      ...(meant === null ? {} : { [speech.voiceMember]: meant }),
      ...(speech.wavOnly || response_format === undefined ? {} : { response_format }),
    }),
  );
}

function courseOf(
  route: OpenAiRoute,
  exchange: Exchange,
  consumer: ConsumerConfiguration,
  format: SpeechFormat,
  head: WholeAnswer['head'],
): AnswerCourse {
  const { speech } = consumer;
  const type = typeOf(head.headers);
  const isError = head.status < 200 || head.status >= 300 || type === 'text/html';
  // A text where sound is due is an error, whatever its status.
  if (isError || (speech?.audioMember == null && type === 'application/json')) {
    return errorCourse({ exchange, route, consumer: consumer.id, errorEvent: plainStreamError });
  }
  if (type === 'text/event-stream') {
    const translation = new EventStream(new NamedManner(AUDIO_END, plainStreamError), consumer.id);
    return { kind: 'pieces', status: head.status, headers: STREAM_HEADERS, translation };
  }
  if (speech === null || (speech.audioMember === null && (!speech.wavOnly || format === 'wav')))
    return { kind: 'as_it_is' };
  return {
    kind: 'whole',
    mostBytes: LONGEST_SOUND_BYTES,
    async deliver(answer, signal) {
      const { audioMember } = speech;
      const sound =
        audioMember === null
          ? Readable.from([answer.body])
          : await openFile(consumer, pathIn(answer.body, audioMember, consumer), signal);
      await sendSound(exchange, sound, { format, headers: answer.headers, signal });
    },
  };
}

function pathIn(body: Buffer, member: string, { id }: ConsumerConfiguration): string {
  const path = z.looseObject({ [member]: z.string().min(1) }).safeParse(jsonOf(body));
  const value = path.success ? path.data[member] : undefined;
  if (typeof value === 'string') return value;
  throw new BrokerError('consumer_failed', `${id} answered without the path of a sound in ${JSON.stringify(member)}`);
}

interface SoundOptions {
  readonly format: SpeechFormat;
  readonly headers: readonly string[];
  readonly signal: AbortSignal;
}

/** The head goes out with the first piece, so that what fails before it has a status. */
async function sendSound({ res }: Exchange, sound: Readable, { format, headers, signal }: SoundOptions): Promise<void> {
  const pieces = format === 'wav' ? sound : transcoded(sound, format, signal);
  for await (const piece of pieces) {
    if (signal.aborted || res.destroyed) return;
    if (!res.headersSent) res.writeHead(200, ['Content-Type', SPEECH_TYPES[format], ...headers]);
    if (!res.write(piece)) await drained(res);
  }
  if (!res.headersSent) throw new BrokerError('consumer_failed', 'the sound that was made is empty');
  res.end();
}

function drained(res: Exchange['res']): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      res.off('drain', go).off('close', go);
      resolve();
    };
    res.on('drain', go).on('close', go);
  });
}
