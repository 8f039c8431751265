/**
 * Requests with a JSON body: chats, completions, embeddings, responses, messages. The body goes on as it came but for
 * the name of the model where that is another one at the consumer. Keeps nothing.
 */
import type { AnswerHead, OpenAiRoute } from '../adapters/adapter.js';
import type { AnswerCourse, HeldBody, Translation } from '../adapters/translation.js';
import { BrokerError } from '../errors.js';
import type { Exchange } from '../server/exchange.js';
import { MemberScanner } from '../server/json-members.js';
import type { JsonScalar } from '../server/json-walk.js';
import { errorCourse, typeOf } from './answers.js';
import { chatAsStream } from './chat-as-stream.js';
import { embeddingsCourse } from './embeddings.js';
import {
  AUDIO_END,
  ChatManner,
  EventStream,
  IMAGE_END,
  imageError,
  MESSAGES_END,
  messagesError,
  NamedManner,
  plainStreamError,
  RESPONSES_END,
  responsesError,
  type StreamManner,
} from './event-stream.js';
import { patienceOf } from './patience.js';
import { elsewhere, notingCourse, notingManner } from './response-makers.js';
import { ROUTES } from './routes.js';
import type { Destination } from './routing.js';
import { spliced } from './splice.js';
import { STREAM_HEADERS, WaitingStream } from './waiting-stream.js';
import type { OpenAiWing } from './wing.js';

const WANTED = ['model', 'stream', 'encoding_format', 'previous_response_id'];

/** Throws `bad_json` where it is no object. */
export async function membersOf(body: HeldBody, names: readonly string[]): Promise<ReadonlyMap<string, JsonScalar>> {
  const scanner = new MemberScanner(names);
  if (body.inMemory !== null) scanner.take(body.inMemory);
  else for await (const piece of body.read()) scanner.take(piece);
  if (scanner.isHopeless || body.sizeBytes === 0) {
    throw new BrokerError('bad_json', 'the body must be a JSON object');
  }
  return scanner.members;
}

export function textOf(members: ReadonlyMap<string, JsonScalar>, name: string): string | null {
  const member = members.get(name);
  if (member === undefined || member.value === null) return null;
  if (typeof member.value === 'string') return member.value;
  throw new BrokerError('bad_request', `${name} must be a text`, { param: name });
}

/** Runs the job; the body is released with it, or by the caller where this throws. */
export async function runJsonJob(
  wing: OpenAiWing,
  route: OpenAiRoute,
  exchange: Exchange,
  body: HeldBody,
): Promise<void> {
  const members = await membersOf(body, WANTED);
  const asked = textOf(members, 'model');
  const destination = await destinationOf(wing, route, members);
  const { consumer, speaker } = destination;
  const streams = members.get('stream')?.value === true;
  const waiting = new WaitingStream({
    ...{ exchange, errorEvent: mannerOf(route, destination).errorEvent, broker: wing.broker, clock: wing.clock },
    manner: streams ? consumer.waiting : 'off',
    reasoningModel: route === 'chat' ? (asked ?? consumer.id) : null,
    ...(wing.timesMs === undefined ? {} : { timesMs: wing.timesMs }),
  });
  const id = wing.door.run({
    ...{ exchange, consumer, contentType: null, capability: ROUTES[route].capability },
    request: { method: 'POST', path: speaker.path, query: exchange.query },
    body: withModel(body, members.get('model'), destination.model),
    translation: translationOf(route, exchange, destination, {
      ...{ streams, waiting },
      note: (response) => wing.responses.note(response, consumer.id),
      encoding: members.get('encoding_format')?.value,
    }),
    patienceMs: patienceOf(exchange.req, streams),
  });
  waiting.start(id);
}

/** By the model; a follow-up without one goes to whoever made what it follows. */
async function destinationOf(
  wing: OpenAiWing,
  route: OpenAiRoute,
  members: ReadonlyMap<string, JsonScalar>,
): Promise<Destination> {
  const asked = textOf(members, 'model');
  const followed = route === 'responses' ? textOf(members, 'previous_response_id') : null;
  const maker = followed === null ? null : wing.responses.makerOf(followed);
  const isHere = maker !== null && wing.context().configuration.consumers.has(maker);
  const destination = await wing.destinationOf(route, asked ?? (isHere ? maker : null));
  if (followed === null || maker === null || destination.consumer.id === maker) return destination;
  throw elsewhere(followed, maker, destination.consumer.id);
}

/** The one change: the name of the model, where it is another one there. A body without a name keeps none. */
function withModel(body: HeldBody, member: JsonScalar | undefined, model: string | null): HeldBody {
  if (member === undefined || model === null || member.value === model) return body;
  return spliced(body, [{ start: member.start, end: member.end, bytes: Buffer.from(JSON.stringify(model)) }]);
}

interface Wish {
  readonly streams: boolean;
  readonly encoding: unknown;
  readonly waiting: WaitingStream;
  /** The name of an answer that a later request may follow. */
  readonly note: (response: string) => void;
}

function translationOf(route: OpenAiRoute, exchange: Exchange, destination: Destination, wish: Wish): Translation {
  const { consumer } = destination;
  return {
    course(head: AnswerHead): AnswerCourse {
      wish.waiting.stop();
      const manner = mannerOf(route, destination);
      const type = typeOf(head.headers);
      if (head.status < 200 || head.status >= 300 || type === 'text/html') {
        const errorEvent = manner.errorEvent.bind(manner);
        return errorCourse({ exchange, route, consumer: consumer.id, errorEvent });
      }
      if (type === 'text/event-stream') {
        const watched = route === 'responses' ? notingManner(manner, wish.note) : manner;
        const translation = new EventStream(watched, consumer.id);
        return { kind: 'pieces', status: head.status, headers: STREAM_HEADERS, translation };
      }
      if (route === 'responses') return notingCourse(head.status, head.headers, wish.note);
      if (route === 'chat' && wish.streams) return chatAsStream(exchange, consumer.id);
      return route === 'embeddings' ? embeddingsCourse(exchange, consumer.id, wish.encoding) : { kind: 'as_it_is' };
    },
  };
}

function mannerOf(route: OpenAiRoute, { consumer }: Destination): StreamManner {
  if (route === 'responses') return new NamedManner(RESPONSES_END, responsesError);
  if (route === 'messages') return new NamedManner(MESSAGES_END, messagesError);
  if (route === 'images') return new NamedManner(IMAGE_END, imageError);
  if (route === 'chat' || route === 'completions') return new ChatManner(consumer.id);
  return new NamedManner(AUDIO_END, plainStreamError);
}
