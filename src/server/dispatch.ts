/**
 * One request from its head to its handler: what it asks for, the route, who asks; and one answer for whatever is
 * thrown on the way. Keeps nothing.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { BrokerError } from '../errors.js';
import type { Log } from '../runtime/ports.js';
import type { Access } from './access.js';
import { answerPreflight, isPreflight, openTo } from './cross-origin.js';
import type { Exchange } from './exchange.js';
import { requestIdOf } from './request-id.js';
import { plainErrorBody, sendError } from './respond.js';
import type { Router, Routing } from './router.js';
import { requestTargetOf } from './target.js';

export interface Dispatch {
  request(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): Promise<void>;
  /** Throws `BrokerError` where the upgrade is refused. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
}

const ROUTES_HINT =
  'there are POST /v1/tts, /v1/stt, /v1/llm and /v1/image, /v1/models and the OpenAI routes, /audio/*, /consumers/NAME/*, GET /v1/status, /v1/jobs, /v1/events, /metrics, /healthz; GET / lists them all';

export function createDispatch(router: Router, access: Access, log: Log): Dispatch {
  async function request(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): Promise<void> {
    let errorBody: Exchange['errorBody'] = plainErrorBody;
    let exchange: Exchange | null = null;
    try {
      const target = requestTargetOf(req);
      const method = req.method ?? 'GET';
      const routing = router.find(method, target.path);
      if (routing.kind === 'found') errorBody = routing.route.errorShape?.(routing.params) ?? errorBody;
      const needs = routing.kind === 'found' ? routing.route.needs : 'ask';
      const page = access.pageOf({ req, authority: target.authority });
      if (page !== null) openTo(page, res);
      const isQuestion = page !== null && isPreflight(req);
      const caller = access.admit({
        ...{ req, authority: target.authority, isUpgrade: false },
        needs: isQuestion ? 'ask' : needs,
      });
      if (isQuestion) {
        answerPreflight(req, res);
        return;
      }
      const { route, params } = foundOrThrow(routing, method, target.path);
      exchange = { req, res, path: target.path, query: target.query, params, caller, expectsContinue, errorBody };
      const answering = route.handler(exchange);
      if (answering !== undefined) await answering;
    } catch (error) {
      answerError(exchange ?? { req, res, expectsContinue, errorBody }, error);
    }
  }

  /** An error of another kind than ours is a bug of ours: the caller gets a number, the log gets the rest. */
  function answerError(
    exchange: Pick<Exchange, 'req' | 'res' | 'expectsContinue' | 'errorBody'>,
    error: unknown,
  ): void {
    const { req, res } = exchange;
    const id = requestIdOf(res);
    if (error instanceof BrokerError) {
      log.debug({ code: error.code, request: id, method: req.method, path: pathOf(req) }, error.message);
      sendError(exchange, error);
      return;
    }
    log.error({ err: error, request: id, method: req.method, path: pathOf(req) }, 'a request handler failed');
    const text = `something went wrong inside the broker, which is a bug; its log has the cause under request ${id}`;
    sendError(exchange, new BrokerError('internal', text));
  }

  function upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    const target = requestTargetOf(req);
    const routing = router.find(req.method ?? 'GET', target.path);
    const needs = routing.kind === 'found' ? routing.route.needs : 'ask';
    const caller = access.admit({ req, authority: target.authority, needs, isUpgrade: true });
    const { route, params } = foundOrThrow(routing, req.method ?? 'GET', target.path);
    if (route.upgrade === undefined) throw new BrokerError('not_found', `there is no websocket at ${target.path}`);
    const errorBody = route.errorShape?.(params) ?? plainErrorBody;
    const exchange = { req, path: target.path, query: target.query, params, caller, expectsContinue: false, errorBody };
    route.upgrade(exchange, socket, head);
  }

  return { request, upgrade };
}

function foundOrThrow(routing: Routing, method: string, path: string): Extract<Routing, { kind: 'found' }> {
  if (routing.kind === 'found') return routing;
  if (routing.kind === 'none') throw new BrokerError('not_found', `there is nothing at ${path}; ${ROUTES_HINT}`);
  const allow = routing.allow.join(', ');
  throw new BrokerError('method_not_allowed', `${path} does not take ${method}, only ${allow}`, {
    headers: { Allow: allow },
  });
}

/** Queries can carry keys and names: the log shows paths only. */
function pathOf(req: IncomingMessage): string {
  return (req.url ?? '').replace(/[?#].*$/s, '');
}
