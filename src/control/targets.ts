/**
 * Operators' actions on a target: load, evict, pin, unpin, forget. The answer comes when the thing is done, or says why
 * not. Owns the requests that wait for the core's answer.
 */
import type { OperatorResult } from '../core/commands.js';
import type { OperatorAction } from '../core/events.js';
import { consumerId, type Target, targetName } from '../core/vocabulary.js';
import { BrokerError } from '../errors.js';
import type { BrokerPort, ConfigurationPort, OperatorPort } from '../runtime/ports.js';
import type { Exchange, Route } from '../server/exchange.js';
import { sendError, sendJson } from '../server/respond.js';

export interface TargetActionOptions {
  readonly broker: BrokerPort;
  readonly configuration: ConfigurationPort;
}

export interface TargetActions {
  readonly routes: readonly Route[];
  readonly port: OperatorPort;
}

const ACTIONS = ['load', 'evict', 'pin', 'unpin', 'forget'] as const;
type ActionName = (typeof ACTIONS)[number];

/** Nobody waits longer for a target to become idle, unless he says so. */
const DEFAULT_TIMEOUT_MS = 10 * 60_000;
const LONGEST_TIMEOUT_S = 24 * 3600;

export function createTargetActions({ broker, configuration }: TargetActionOptions): TargetActions {
  const waiting = new Map<number, (result: OperatorResult) => void>();
  let lastRequest = 0;

  function act(exchange: Exchange, name: ActionName): void {
    const { target, timeoutMs } = read(exchange);
    lastRequest += 1;
    const request = lastRequest;
    waiting.set(request, (result) => reply(exchange, name, target, result));
    const action: OperatorAction =
      name === 'load' || name === 'evict'
        ? { kind: name, target, request, timeoutMs }
        : { kind: name, target, request };
    broker.post({ type: 'OperatorAsked', action, by: exchange.caller.address });
  }

  function read(exchange: Exchange): { readonly target: Target; readonly timeoutMs: number } {
    const name = exchange.params.name ?? '';
    const consumer = configuration.current().consumers.get(consumerId(name));
    if (consumer === undefined) {
      const known = [...configuration.current().consumers.keys()].join(', ');
      throw new BrokerError('unknown_consumer', `there is no consumer ${name}; there are: ${known}`, { param: 'name' });
    }
    const query = new URLSearchParams(exchange.query);
    return { target: { consumer: consumer.id, model: query.get('model') }, timeoutMs: timeoutOf(query.get('timeout')) };
  }

  return {
    routes: ACTIONS.map((name) => ({
      method: 'POST',
      path: `/v1/consumers/:name/${name}`,
      needs: 'operate',
      handler: (exchange) => act(exchange, name),
    })),
    port: {
      answer(request, result) {
        const tell = waiting.get(request);
        waiting.delete(request);
        tell?.(result);
      },
    },
  };
}

/** Seconds; `evict` and `load` give up after it and have broken nothing off. */
function timeoutOf(text: string | null): number {
  if (text === null) return DEFAULT_TIMEOUT_MS;
  const seconds = Number(text);
  if (seconds > 0 && seconds <= LONGEST_TIMEOUT_S) return seconds * 1000;
  throw new BrokerError('bad_request', `timeout=${text} is not a number of seconds from 1 to ${LONGEST_TIMEOUT_S}`, {
    param: 'timeout',
  });
}

function reply(exchange: Exchange, action: ActionName, target: Target, result: OperatorResult): void {
  if (exchange.res.writableEnded || exchange.res.destroyed) return;
  const name = targetName(target);
  if (result.ok) sendJson(exchange, 200, { target: name, action, done: true, message: result.message });
  else sendError(exchange, new BrokerError(result.code, result.message, { consumer: target.consumer }));
}
