/**
 * The door for those who translate another API: takes a body in before its consumer is known, and runs the job that
 * was made from it. Keeps nothing.
 */
import type { Adapter } from '../adapters/adapter.js';
import type { HeldBody, JobDoor, TranslatedJob } from '../adapters/translation.js';
import type { KindName } from '../config/configuration.js';
import { BrokerError } from '../errors.js';
import type { BrokerPort, ConfigurationPort, Log } from '../runtime/ports.js';
import type { Exchange } from '../server/exchange.js';
import type { Budget } from './budget.js';
import { whenClientLeaves } from './client.js';
import { BodyIntake } from './intake.js';
import { classOf } from './job-class.js';
import type { WaitingRoom } from './waiting.js';

export interface JobDoorDependencies {
  readonly broker: BrokerPort;
  readonly configuration: ConfigurationPort;
  readonly adapters: Readonly<Record<KindName, Adapter>>;
  readonly waiting: WaitingRoom;
  readonly memory: Budget;
  readonly spool: Budget;
  readonly spoolFolder: string;
  readonly log: Log;
}

export function createJobDoor(dependencies: JobDoorDependencies): JobDoor {
  const { broker, configuration, adapters, waiting, memory, spool, spoolFolder, log } = dependencies;
  /** Bodies that come in and have no job yet: they count as jobs that have not begun. */
  let takingIn = 0;

  function refuseFromHeaders(): void {
    const { state, queueDepth } = broker.intake();
    if (state !== 'ready') {
      throw new BrokerError('draining', 'the broker takes no new jobs: it is draining; try again when it is back');
    }
    const { max } = configuration.current().queue;
    const notBegun = queueDepth + takingIn;
    if (notBegun < max) return;
    const text = `overloaded: ${notBegun} jobs wait already, queue.max is ${max}; try again later`;
    throw new BrokerError('queue_full', text);
  }

  return {
    async takeIn(exchange, uploadMs) {
      refuseFromHeaders();
      const { bodyBytes } = configuration.current().limits;
      takingIn += 1;
      try {
        return await taken(exchange, { memory, spool, spoolFolder, bodyBytes, uploadMs, log });
      } finally {
        takingIn -= 1;
      }
    },

    run({ exchange, consumer, request, capability, body, contentType, translation, patienceMs }: TranslatedJob) {
      // It was looked at in between, and nobody would tell us a second time that its client has left.
      if (exchange.res.closed || exchange.res.destroyed) {
        throw new BrokerError('cancelled', 'the client left before its request was understood');
      }
      const made = { body, contentType, translation, patienceMs };
      const adapter = adapters[consumer.kind];
      return waiting.announce({
        ...{ exchange, consumer, adapter, request, capability, made },
        class: classOf(exchange.req, consumer),
      });
    },

    hasBegun: (id) => waiting.hasBegun(id),
  };
}

function taken(exchange: Exchange, limits: ConstructorParameters<typeof BodyIntake>[1]): Promise<HeldBody> {
  return new Promise((resolve, reject) => {
    const intake = new BodyIntake(exchange.req, limits, {
      taken: resolve,
      refused: ({ code, message, cause }) => {
        if (cause !== undefined) limits.log.warn({ err: cause }, message);
        reject(new BrokerError(code, message, { cause }));
      },
    });
    whenClientLeaves(exchange, () => {
      intake.stop();
      reject(new BrokerError('cancelled', 'the client left before its request was complete'));
    });
    const refusal = intake.refusalFromHeaders();
    if (refusal !== null) {
      intake.stop();
      reject(new BrokerError(refusal.code, refusal.message));
      return;
    }
    if (exchange.expectsContinue) exchange.res.writeContinue();
    intake.start();
  });
}
