/**
 * The wing of the OpenAI API, put together: its routes, with and without `/v1`, and the lists of models behind them.
 * `main.ts` gives it the proxy's door.
 */
import type { OpenAiRoute } from '../adapters/adapter.js';
import { OPENAI_ROUTES } from '../adapters/adapter.js';
import type { HeldBody, JobDoor } from '../adapters/translation.js';
import { BrokerError } from '../errors.js';
import type { BrokerPort, Clock, ConfigurationPort, JournalPort, Log } from '../runtime/ports.js';
import type { Exchange, Handler, Route } from '../server/exchange.js';
import { requestIdOf } from '../server/request-id.js';
import { createCatalogue } from './catalogue.js';
import { errorShapeOf } from './errors.js';
import { runImages } from './image-job.js';
import { runJsonJob } from './json-job.js';
import { sendModel, sendModels } from './models.js';
import { PictureStore } from './picture-store.js';
import { ResponseMakers } from './response-makers.js';
import { ROUTES } from './routes.js';
import { destinationOf } from './routing.js';
import type { Adapters } from './speakers.js';
import { runSpeech } from './speech-job.js';
import { runTranscription } from './transcription-job.js';
import { sendSpeechModels, sendVoices } from './voices.js';
import type { OpenAiWing } from './wing.js';

export interface OpenAiOptions {
  readonly door: JobDoor;
  readonly broker: BrokerPort;
  readonly journal: JournalPort;
  readonly configuration: ConfigurationPort;
  readonly adapters: Adapters;
  readonly clock: Clock;
  readonly log: Log;
  /** When a waiting stream is spoken to first, and then how often; default 20 s and 15 s. */
  readonly timesMs?: { readonly first: number; readonly next: number };
}

export interface OpenAi {
  readonly routes: readonly Route[];
  /** The lists of models are asked for from now on. */
  start(): void;
  close(): void;
}

/** The consumer is known only when the body is here, so its own `timeouts.upload` cannot count. */
const UPLOAD_MS = 600_000;
const LOOK_AGAIN_MS = 2000;

type Runner = (wing: OpenAiWing, route: OpenAiRoute, exchange: Exchange, body: HeldBody) => Promise<void>;

const RUNNERS: Readonly<Record<OpenAiRoute, Runner>> = {
  chat: runJsonJob,
  completions: runJsonJob,
  embeddings: runJsonJob,
  responses: runJsonJob,
  messages: runJsonJob,
  count_tokens: runJsonJob,
  transcriptions: runTranscription,
  translations: runTranscription,
  speech: runSpeech,
  images: runImages,
};

export function createOpenAi(options: OpenAiOptions): OpenAi {
  const { door, broker, configuration, adapters, clock, log, timesMs } = options;
  const catalogue = createCatalogue(options);
  const pictures = new PictureStore();
  const responses = new ResponseMakers();
  const context = () => ({ configuration: configuration.current(), catalogue, adapters });
  const wing: OpenAiWing = {
    ...{ door, broker, clock, log, context, pictures, responses },
    loadedAt: () => configuration.loadedAt(),
    async destinationOf(route, model) {
      try {
        return destinationOf(route, model, context());
      } catch (error) {
        if (!(error instanceof BrokerError) || error.code !== 'model_not_found') throw error;
        await catalogue.freshen(LOOK_AGAIN_MS);
        return destinationOf(route, model, context());
      }
    },
    ...(timesMs === undefined ? {} : { timesMs }),
  };
  const bothWays = (method: string, path: string, handler: Handler, errors: Route['errorShape']): Route[] =>
    ['/v1', ''].map((prefix) => ({
      ...{ method, path: prefix + path, needs: 'ask' as const, handler: named(handler) },
      ...(errors === undefined ? {} : { errorShape: errors }),
    }));
  const jobs = OPENAI_ROUTES.flatMap((route) => {
    const run = RUNNERS[route];
    const shape = () => errorShapeOf(route);
    return bothWays('POST', ROUTES[route].path, jobHandler(wing, route, run), shape);
  });
  return {
    routes: [
      ...jobs,
      ...bothWays('GET', '/models', (exchange) => sendModels(wing, exchange), undefined),
      ...bothWays('GET', '/audio/voices', (exchange) => sendVoices(wing, exchange), undefined),
      ...bothWays('GET', '/audio/models', (exchange) => sendSpeechModels(wing, exchange), undefined),
      ...bothWays('GET', '/images/files/:name', (exchange) => pictures.send(exchange), undefined),
      ...bothWays('GET', '/models/*', (exchange) => sendModel(wing, exchange), undefined),
    ],
    start: () => catalogue.start(),
    close() {
      catalogue.close();
      pictures.close();
    },
  };
}

function named(handler: Handler): Handler {
  return (exchange) => {
    requestIdOf(exchange.res);
    return handler(exchange);
  };
}

function jobHandler(wing: OpenAiWing, route: OpenAiRoute, run: Runner): Handler {
  return async (exchange) => {
    const { headers } = exchange.req;
    if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
      const text = 'the request says nothing about its body; send Content-Length or Transfer-Encoding: chunked';
      throw new BrokerError('bad_request', text);
    }
    const body = await wing.door.takeIn(exchange, UPLOAD_MS);
    try {
      await run(wing, route, exchange, body);
    } catch (error) {
      body.release();
      throw error;
    }
  };
}
