/**
 * `/v1/images/generations`: as it came where the consumer speaks it, else as ComfyUI's workflow or as AUTOMATIC1111's
 * own request; its pictures in the answer, by address, or as events of a stream that is kept alive meanwhile. Keeps
 * nothing; pictures by address are `picture-store.ts`'s.
 */
import type { AnswerHead, OpenAiRoute } from '../adapters/adapter.js';
import type { AnswerCourse, HeldBody, WholeAnswer } from '../adapters/translation.js';
import type { ConsumerConfiguration } from '../config/configuration.js';
import { BrokerError } from '../errors.js';
import type { Exchange } from '../server/exchange.js';
import { errorCourse, sendWhole } from './answers.js';
import { txt2imgBody, txt2imgPictures } from './automatic1111-pictures.js';
import { comfyuiPictures, promptBody, refusalOf } from './comfyui-pictures.js';
import { imageError } from './event-stream.js';
import { type ImageWish, imageWishOf, refused } from './image-wish.js';
import { membersOf, runJsonJob, textOf } from './json-job.js';
import { patienceOf } from './patience.js';
import { LARGEST_PICTURES_BYTES, type Picture, typeOfPicture } from './picture.js';
import { publicOriginOf } from './public-origin.js';
import { ROUTES } from './routes.js';
import { type Destination, namesOf, throwUnknown } from './routing.js';
import { replaced } from './splice.js';
import { STREAM_HEADERS, WaitingStream } from './waiting-stream.js';
import type { OpenAiWing } from './wing.js';

/** base64 is a third longer. */
const LONGEST_ANSWER_BYTES = LARGEST_PICTURES_BYTES * 1.4;

/** How a consumer makes pictures of a wish. */
interface Maker {
  readonly body: Buffer;
  pictures(answer: WholeAnswer, signal: AbortSignal): Promise<Picture[]>;
  /** Its refusal in words that help. */
  refusal(answer: WholeAnswer): WholeAnswer;
}

/** Runs the job; the body is released with it, or by the caller where this throws. */
export async function runImages(
  wing: OpenAiWing,
  route: OpenAiRoute,
  exchange: Exchange,
  body: HeldBody,
): Promise<void> {
  const asked = textOf(await membersOf(body, ['model']), 'model');
  const destination = await wing.destinationOf(route, asked);
  const { consumer, speaker } = destination;
  if (speaker.manner === 'openai') return runJsonJob(wing, route, exchange, body);
  if (body.inMemory === null) throw refused('prompt', 'the prompt is too long');
  const wish = imageWishOf(body.inMemory);
  // What will be needed at the end fails before the work, not after it.
  const origin = wish.asUrl ? publicOriginOf(exchange, wing.context().configuration) : '';
  const maker = makerOf(wing, destination, asked, wish);
  const waiting = new WaitingStream({
    ...{ exchange, errorEvent: imageError, broker: wing.broker, clock: wing.clock, reasoningModel: null },
    manner: wish.streams ? consumer.waiting : 'off',
    ...(wing.timesMs === undefined ? {} : { timesMs: wing.timesMs }),
  });
  const send = wish.streams ? sendEvents : sendAnswer;
  const nameOf = (picture: Picture) => `${origin}/v1/images/files/${wing.pictures.keep(picture)}`;
  const id = wing.door.run({
    ...{ exchange, consumer, contentType: 'application/json', capability: ROUTES[route].capability },
    request: { method: 'POST', path: speaker.path, query: '' },
    body: replaced(body, maker.body),
    translation: {
      course: (head) =>
        courseOf(head, maker, { exchange, route, consumer }, (pictures, headers) => {
          waiting.stop();
          send(exchange, { pictures, headers, nameOf: wish.asUrl ? nameOf : null });
        }),
    },
    patienceMs: patienceOf(exchange.req, wish.streams),
  });
  waiting.start(id);
}

function makerOf(wing: OpenAiWing, destination: Destination, asked: string | null, wish: ImageWish): Maker {
  const { consumer, speaker, model } = destination;
  const context = wing.context();
  if (speaker.manner === 'automatic1111') {
    const own = asked !== null && namesOf(consumer, context).includes(asked) ? asked : null;
    return {
      body: txt2imgBody(wish, model ?? own),
      pictures: (answer) => Promise.resolve(txt2imgPictures(answer.body, consumer.id)),
      refusal: (answer) => answer,
    };
  }
  const { workflows } = consumer;
  const [first = ''] = workflows.keys();
  const name = model ?? (asked !== null && workflows.has(asked) ? asked : first);
  const workflow = workflows.get(name) ?? throwUnknown(name, context);
  return {
    body: promptBody(name, workflow, wish),
    pictures: (answer, signal) => comfyuiPictures(consumer, name, answer, signal),
    refusal: (answer) => refusalOf(name, answer),
  };
}

interface Asked {
  readonly exchange: Exchange;
  readonly route: OpenAiRoute;
  readonly consumer: ConsumerConfiguration;
}

function courseOf(
  { status }: AnswerHead,
  maker: Maker,
  { exchange, route, consumer }: Asked,
  send: (pictures: readonly Picture[], headers: readonly string[]) => void,
): AnswerCourse {
  if (status < 200 || status >= 300) {
    const course = errorCourse({ exchange, route, consumer: consumer.id, errorEvent: imageError });
    if (course.kind !== 'whole') return course;
    return { ...course, deliver: (answer, signal) => course.deliver(maker.refusal(answer), signal) };
  }
  return {
    kind: 'whole',
    mostBytes: LONGEST_ANSWER_BYTES,
    async deliver(answer, signal) {
      const pictures = await maker.pictures(answer, signal);
      if (pictures.some(({ bytes }) => bytes.length === 0)) {
        throw new BrokerError('consumer_failed', `${consumer.id} made an empty picture`, { consumer: consumer.id });
      }
      send(pictures, answer.headers);
    },
  };
}

interface Made {
  readonly pictures: readonly Picture[];
  /** Flat. */
  readonly headers: readonly string[];
  /** The address of a picture, which is kept from then on; null: it is in the answer. */
  readonly nameOf: ((picture: Picture) => string) | null;
}

const created = (): number => Math.floor(Date.now() / 1000);

const told = (picture: Picture, nameOf: Made['nameOf']): { url: string } | { b64_json: string } =>
  nameOf === null ? { b64_json: picture.bytes.toString('base64') } : { url: nameOf(picture) };

function sendAnswer(exchange: Exchange, { pictures, headers, nameOf }: Made): void {
  const body = JSON.stringify({ created: created(), data: pictures.map((picture) => told(picture, nameOf)) });
  sendWhole(exchange, { status: 200, contentType: 'application/json; charset=utf-8', body, headers });
}

function sendEvents({ res }: Exchange, { pictures, headers, nameOf }: Made): void {
  if (res.destroyed) return;
  if (!res.headersSent) res.writeHead(200, [...STREAM_HEADERS, ...headers]);
  for (const picture of pictures) {
    const type = 'image_generation.completed';
    const { extension } = typeOfPicture(picture.bytes);
    const event = { type, created_at: created(), output_format: extension, ...told(picture, nameOf) };
    res.write(`event: ${type}\ndata: ${JSON.stringify(event)}\n\n`);
  }
  res.end();
}
