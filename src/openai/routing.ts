/**
 * Which consumer a request is for, by the name of its model: an alias, a name that a consumer lists, `consumer/model`,
 * or none, which means the route's default. Keeps nothing.
 */
import type { OpenAiRoute } from '../adapters/adapter.js';
import type { Configuration, ConsumerConfiguration } from '../config/configuration.js';
import { nearestNames } from '../config/nearest.js';
import { targetOfName } from '../core/vocabulary.js';
import { BrokerError } from '../errors.js';
import type { Catalogue } from './catalogue.js';
import { pathOf, ROUTES } from './routes.js';
import { type Adapters, type Speaker, speakerOf, speaksAnything } from './speakers.js';

export interface Destination {
  readonly consumer: ConsumerConfiguration;
  readonly speaker: Speaker;
  /** As the consumer calls it; null: what the client said, or did not say, stays. */
  readonly model: string | null;
}

export interface RoutingContext {
  readonly configuration: Configuration;
  readonly catalogue: Pick<Catalogue, 'modelsOf'>;
  readonly adapters: Adapters;
}

type Found = { readonly consumer: ConsumerConfiguration; readonly model: string | null };

const NAMES_IN_A_MESSAGE = 5;

/** Kinds that do not speak a route themselves, and are spoken for. */
const TOLD_HERE: Readonly<Partial<Record<OpenAiRoute, readonly string[]>>> = {
  transcriptions: ['whisper-server'],
  translations: ['whisper-server'],
  speech: ['http with `speech`'],
  images: ['automatic1111', 'comfyui with `workflows`'],
};

/** Throws `not_found` where nobody speaks the route, `model_not_found`, `bad_request` where a model must be named. */
export function destinationOf(route: OpenAiRoute, model: string | null, context: RoutingContext): Destination {
  const speakers = speakersOf(route, context);
  if (speakers.length === 0) throw nobodySpeaks(route, context);
  const { consumer, model: meant } = model === null || model === '' ? standard(speakers) : named(route, model, context);
  const speaker = speakerOf(route, consumer, context.adapters);
  if (speaker !== null) return { consumer, speaker, model: meant };
  const others = speakers.map(({ id }) => id).join(', ');
  const text = `${model} is at ${consumer.id}, which has no ${pathOf(route)}; here ${others} would answer it`;
  throw new BrokerError('not_found', text, { param: 'model', consumer: consumer.id });
}

/** The route's own consumer first, the others as the file has them. */
function speakersOf(route: OpenAiRoute, { configuration, adapters }: RoutingContext): ConsumerConfiguration[] {
  const first = configuration.routes[ROUTES[route].capability];
  return [...configuration.consumers.values()]
    .filter((consumer) => speakerOf(route, consumer, adapters) !== null)
    .sort((a, b) => Number(b.id === first) - Number(a.id === first));
}

function standard([first]: readonly ConsumerConfiguration[]): Found {
  if (first === undefined) throw new Error('nobody speaks the route; the caller must have asked');
  return { consumer: first, model: null };
}

function named(route: OpenAiRoute, model: string, context: RoutingContext): Found {
  const { configuration } = context;
  const alias = configuration.aliases.get(model);
  const aliased = alias === undefined ? undefined : configuration.consumers.get(alias.consumer);
  if (alias !== undefined && aliased !== undefined) return { consumer: aliased, model: alias.model };
  return listed(route, model, context) ?? addressed(model, context) ?? throwUnknown(model, context);
}

function listed(route: OpenAiRoute, model: string, context: RoutingContext): Found | null {
  const speakers = speakersOf(route, context);
  const others = [...context.configuration.consumers.values()].filter((consumer) => !speakers.includes(consumer));
  for (const consumer of [...speakers, ...others]) {
    if (namesOf(consumer, context).some((name) => name === model || name === `${model}:latest`)) {
      return { consumer, model: null };
    }
  }
  return null;
}

/** `consumer/model`, or a consumer's name alone, which leaves the choice to it. */
function addressed(name: string, { configuration, adapters }: RoutingContext): Found | null {
  const { consumer: id, model } = targetOfName(name);
  const consumer = configuration.consumers.get(id);
  if (consumer === undefined || !speaksAnything(consumer, adapters)) return null;
  return { consumer, model: model === '' ? null : model };
}

/** What a consumer lists, else what the file says of it. */
export function namesOf(consumer: ConsumerConfiguration, { catalogue }: Pick<RoutingContext, 'catalogue'>): string[] {
  const names = catalogue.modelsOf(consumer).map(({ name }) => name);
  if (consumer.workflows.size > 0) return [...consumer.workflows.keys()];
  return names.length > 0 ? names : [...consumer.models.keys()];
}

/** Every name under which something can be asked for. */
export function knownNames(context: RoutingContext): string[] {
  const { configuration, adapters } = context;
  const consumers = [...configuration.consumers.values()].filter((consumer) => speaksAnything(consumer, adapters));
  const own = consumers.flatMap((consumer) => {
    const names = namesOf(consumer, context);
    return names.length > 0 ? names : [consumer.id];
  });
  return [...new Set([...configuration.aliases.keys(), ...own])];
}

export function throwUnknown(model: string, context: RoutingContext): never {
  const known = knownNames(context);
  const close = nearestNames(model, known, NAMES_IN_A_MESSAGE).map((name) => JSON.stringify(name));
  const some = known.slice(0, NAMES_IN_A_MESSAGE).join(', ');
  const more = known.length > NAMES_IN_A_MESSAGE ? ', and more at GET /v1/models' : '';
  const hint =
    close.length === 0 ? `known here: ${some}${more}` : `did you mean ${close.join(' or ')}? (all: GET /v1/models)`;
  throw new BrokerError('model_not_found', `no consumer has a model ${JSON.stringify(model)}; ${hint}`, {
    param: 'model',
  });
}

function nobodySpeaks(route: OpenAiRoute, { adapters }: RoutingContext): BrokerError {
  const kinds = Object.values(adapters).filter(({ openaiPaths }) => openaiPaths?.[route] !== undefined);
  const those = [...kinds.map(({ kind }) => kind), ...(TOLD_HERE[route] ?? [])].join(' or ');
  const would = those === '' ? '' : `; a consumer of kind ${those} would`;
  return new BrokerError('not_found', `no consumer here speaks ${pathOf(route)}${would}`);
}
