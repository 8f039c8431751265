/** `GET /v1/whoami`: who asks, what he may do, and from where he could do more. Keeps nothing. */
import type { ConfigurationPort } from '../runtime/ports.js';
import { explainLookOnly } from '../server/access.js';
import type { Route } from '../server/exchange.js';
import { sendJson } from '../server/respond.js';

export interface WhoamiJson {
  readonly address: string;
  readonly may_operate: boolean;
  /** Networks whose callers may change things. */
  readonly operators: readonly string[];
  /** Why this caller may only look, and the line that would change it; null: he may operate. */
  readonly look_only: string | null;
}

export function createWhoamiRoutes({ configuration }: { readonly configuration: ConfigurationPort }): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/whoami',
      needs: 'ask',
      handler(exchange) {
        const { caller, req } = exchange;
        const answer: WhoamiJson = {
          address: caller.address,
          may_operate: caller.mayOperate,
          operators: configuration.current().access.operators,
          look_only: caller.mayOperate ? null : explainLookOnly(caller, req.headers.host ?? null),
        };
        sendJson(exchange, 200, answer);
      },
    },
  ];
}
