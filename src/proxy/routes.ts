/**
 * What each path of the façade means: which consumer, and whether it is a job, goes through at once, or needs
 * operator rights. Keeps nothing.
 */
import type { Adapter, RequestLine } from '../adapters/adapter.js';
import type { ConsumerConfiguration, KindName } from '../config/configuration.js';
import { suggestion } from '../config/nearest.js';
import { CAPABILITIES, type Capability, consumerId } from '../core/vocabulary.js';
import { BrokerError } from '../errors.js';
import type { ConfigurationPort } from '../runtime/ports.js';
import type { Exchange, Route } from '../server/exchange.js';
import { asNetwork, isLoopback, plainAddress } from '../server/networks.js';
import { plainErrorBody } from '../server/respond.js';
import { classOf } from './job-class.js';
import type { Passes } from './passes.js';
import type { Upgrades } from './upgrade.js';
import type { WaitingRoom } from './waiting.js';

export interface RoutesDependencies {
  readonly configuration: ConfigurationPort;
  readonly adapters: Readonly<Record<KindName, Adapter>>;
  readonly waiting: WaitingRoom;
  readonly passes: Passes;
  readonly upgrades: Upgrades;
}

const BELOW = '/consumers/';

export function createRoutes(dependencies: RoutesDependencies): readonly Route[] {
  const { configuration, adapters, waiting, passes, upgrades } = dependencies;

  function find(name: string): ConsumerConfiguration {
    const { consumers } = configuration.current();
    const consumer = consumers.get(consumerId(name));
    if (consumer !== undefined) return consumer;
    const hint = suggestion(name, [...consumers.keys()]);
    throw new BrokerError('unknown_consumer', `there is no consumer ${JSON.stringify(name)}; ${hint}`);
  }

  function facade(capability: Capability): Route {
    return {
      method: 'POST',
      path: `/v1/${capability}`,
      needs: 'ask',
      handler(exchange) {
        const { consumer, path } = routed(configuration, capability);
        refuseUnframed(exchange);
        const request = requestLine('POST', path, exchange.query);
        const jobClass = classOf(exchange.req, consumer);
        const adapter = adapters[consumer.kind];
        waiting.announce({ exchange, consumer, adapter, request, capability, class: jobClass });
      },
    };
  }

  function audio(exchange: Exchange): void {
    const { audioProxy, consumers } = configuration.current();
    const consumer = audioProxy === null ? undefined : consumers.get(audioProxy);
    if (consumer === undefined) {
      throw new BrokerError('no_route', 'no consumer answers /audio/ here; name one: audio_proxy: CONSUMER');
    }
    passes.pass(exchange, consumer, exchange.path + exchange.query);
  }

  function below(exchange: Exchange): void {
    const consumer = find(exchange.params.name ?? '');
    const adapter = adapters[consumer.kind];
    const request = requestLine(exchange.req.method ?? 'GET', pathBelow(exchange.path), exchange.query);
    const treatment = adapter.treatment(request, consumer);
    if (treatment === 'operator') refuseNonOperator(exchange, request, consumer);
    if (treatment !== 'job') {
      passes.pass(exchange, consumer, request.path + request.query);
      return;
    }
    const jobClass = classOf(exchange.req, consumer);
    waiting.announce({ exchange, consumer, adapter, request, capability: null, class: jobClass });
  }

  function inside(exchange: Exchange): void {
    find(exchange.params.name ?? '');
    redirectInside(exchange);
  }

  const consumerUpgrade: Route['upgrade'] = (exchange, socket, head) => {
    const consumer = find(exchange.params.name ?? '');
    const request = requestLine(exchange.req.method ?? 'GET', pathBelow(exchange.path), exchange.query);
    const treatment = adapters[consumer.kind].treatment(request, consumer);
    if (treatment === 'operator') refuseNonOperator(exchange, request, consumer);
    if (treatment === 'job') {
      const text = `${request.method} ${request.path} of ${consumer.id} uses the GPU, so it waits for its turn and cannot be a websocket`;
      throw new BrokerError('bad_request', text, { consumer: consumer.id });
    }
    upgrades.pipe(exchange, consumer, request.path + request.query, socket, head);
  };

  const errorShape: Route['errorShape'] = ({ name }) => {
    const consumer = configuration.current().consumers.get(consumerId(name ?? ''));
    return consumer === undefined ? plainErrorBody : (error) => adapters[consumer.kind].errorBody(error);
  };

  return [
    ...CAPABILITIES.map(facade),
    { method: 'GET', path: '/audio/*', needs: 'ask', handler: audio },
    { method: '*', path: '/consumers/:name', needs: 'ask', handler: inside, errorShape },
    { method: '*', path: '/consumers/:name/*', needs: 'ask', handler: below, errorShape, upgrade: consumerUpgrade },
  ];
}

/** A configured path may carry a query of its own; the caller's comes behind it. */
function requestLine(method: string, path: string, query: string): RequestLine {
  const at = path.indexOf('?');
  if (at === -1) return { method, path, query };
  return { method, path: path.slice(0, at), query: path.slice(at) + query.replace('?', '&') };
}

/** `/consumers/NAME/api/tags` → `/api/tags`, as it came. */
const pathBelow = (path: string): string => path.slice(path.indexOf('/', BELOW.length));

function routed(
  configuration: ConfigurationPort,
  capability: Capability,
): { readonly consumer: ConsumerConfiguration; readonly path: string } {
  const { routes, consumers } = configuration.current();
  const name = routes[capability];
  const consumer = name === undefined ? undefined : consumers.get(name);
  const path = consumer?.paths[capability];
  if (consumer !== undefined && path !== undefined) return { consumer, path };
  const known = CAPABILITIES.filter((other) => routes[other] !== undefined).map(
    (other) => `${other} (${routes[other]})`,
  );
  const those = known.length === 0 ? 'none is configured' : `configured: ${known.join(', ')}`;
  throw new BrokerError('no_route', `no consumer serves ${capability}; ${those}; add routes.${capability}: CONSUMER`);
}

/** An upload whose framing got lost on its way here would reach the service as an empty one. */
function refuseUnframed({ req }: Exchange): void {
  if (req.headers['content-length'] !== undefined || req.headers['transfer-encoding'] !== undefined) return;
  const text =
    'the request says nothing about its body; send Content-Length (0 where there is none) or Transfer-Encoding: chunked';
  throw new BrokerError('bad_request', text);
}

function refuseNonOperator(
  { caller }: Pick<Exchange, 'caller'>,
  request: RequestLine,
  consumer: ConsumerConfiguration,
): void {
  if (caller.mayOperate) return;
  const what = `${request.method} ${request.path} changes ${consumer.id} for everybody and needs operator rights`;
  const address = plainAddress(caller.address);
  const how =
    address === null || isLoopback(address)
      ? `${caller.address} has them only under the host names 127.0.0.1 and localhost`
      : `${caller.address} has none; to allow it: access.operators: [..., "${asNetwork(address)}"]`;
  throw new BrokerError('forbidden', `${what}: ${how}`, { consumer: consumer.id });
}

/** Relative links of a service's own page need the slash at the end. */
function redirectInside({ res, req, path, query }: Exchange): void {
  res.writeHead(308, {
    Location: `${path}/${query}`,
    'Content-Length': 0,
    ...(req.complete ? {} : { Connection: 'close' }),
  });
  res.end();
}
