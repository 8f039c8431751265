/** What goes through without a grant: reads, files, a service's own pages. Keeps nothing. */
import type { ConsumerConfiguration } from '../config/configuration.js';
import { describeDown } from '../core/describe.js';
import { BrokerError } from '../errors.js';
import type { BrokerPort } from '../runtime/ports.js';
import type { Exchange } from '../server/exchange.js';
import { whenClientLeaves } from './client.js';
import { Relay } from './relay.js';
import type { RelayDependencies } from './relay-order.js';

export interface PassesDependencies extends RelayDependencies {
  readonly broker: BrokerPort;
}

export interface Passes {
  /** `path`: with its query, as the service sees it. Throws `consumer_down` where the last probe failed. */
  pass(exchange: Exchange, consumer: ConsumerConfiguration, path: string): void;
}

export function createPasses(dependencies: PassesDependencies): Passes {
  return {
    pass(exchange, consumer, path) {
      refuseDown(dependencies, consumer);
      const { headers } = exchange.req;
      const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
      const body = hasBody ? 'live' : null;
      const relay = new Relay(
        {
          ...{ exchange, consumer, path, body, job: null },
          answered: () => ({ headers: ['X-MGPU-Consumer', consumer.id], watch: null }),
          over: () => {},
        },
        dependencies,
      );
      whenClientLeaves(exchange, () => {
        void relay.breakOff(new BrokerError('cancelled', 'the client left before its answer was complete'), 0);
      });
    },
  };
}

export function refuseDown({ broker, clock }: PassesDependencies, { id }: ConsumerConfiguration): void {
  const known = broker.snapshot().consumers.find((consumer) => consumer.id === id);
  if (known?.health !== 'down') return;
  throw new BrokerError('consumer_down', describeDown(known, clock.now()), { consumer: id });
}
