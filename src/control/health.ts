/** `/healthz` and `/readyz`: does the scheduler make progress, does it take jobs. Keeps nothing. */

import { BrokerError } from '../errors.js';
import type { BrokerPort, Clock } from '../runtime/ports.js';
import type { Route } from '../server/exchange.js';
import { sendError, sendJson } from '../server/respond.js';

/** The loop turns every 2 s even when nothing happens. */
const LOOP_MAY_REST_MS = 10_000;
/** A job that could be granted is granted in the same step. */
const GRANT_MAY_TAKE_MS = 30_000;

export type Progress =
  | { readonly healthy: true }
  | { readonly healthy: false; readonly problem: 'loop' | 'grants'; readonly message: string };

/** Also asked before the watchdog is fed: what is not healthy shall be restarted. */
export function progressOf(broker: BrokerPort, clock: Clock): Progress {
  const restMs = clock.now() - broker.lastTurnAt();
  if (restMs > LOOP_MAY_REST_MS) return sick('loop', `the scheduler's loop has not turned for ${seconds(restMs)}`);
  const { stalledSince } = broker.snapshot();
  const stalledMs = stalledSince === null ? 0 : clock.now() - stalledSince;
  if (stalledMs > GRANT_MAY_TAKE_MS) {
    return sick('grants', `a job that could have the card has been waiting for it for ${seconds(stalledMs)}`);
  }
  return { healthy: true };
}

function sick(problem: 'loop' | 'grants', message: string): Progress {
  return { healthy: false, problem, message: `${message}; this is a bug, a restart mends it for now` };
}

const seconds = (ms: number): string => `${Math.floor(ms / 1000)} s`;

export function createHealthRoutes({ broker, clock }: { readonly broker: BrokerPort; readonly clock: Clock }): Route[] {
  return [
    {
      method: 'GET',
      path: '/healthz',
      needs: 'anybody',
      handler(exchange) {
        const progress = progressOf(broker, clock);
        if (progress.healthy) sendJson(exchange, 200, { status: 'ok' });
        else sendJson(exchange, 503, { status: 'failing', problem: progress.problem, message: progress.message });
      },
    },
    {
      method: 'GET',
      path: '/readyz',
      needs: 'anybody',
      handler(exchange) {
        if (broker.snapshot().state === 'ready') sendJson(exchange, 200, { status: 'ready' });
        else sendError(exchange, new BrokerError('draining', 'the broker takes no new jobs: it is draining'));
      },
    },
  ];
}
