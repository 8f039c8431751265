/** `GET /`: what this is and where to go on, as JSON; a browser is sent to the page. Keeps nothing. */
import type { Exchange, Route } from '../server/exchange.js';
import { sendJson, sendText } from '../server/respond.js';

const NAME = 'mgpumanager';

/** Reading only; what changes things is in the documents. */
const LINKS: Readonly<Record<string, string>> = {
  page: '/ui/',
  status: '/v1/status',
  jobs: '/v1/jobs',
  events: '/v1/events',
  history: '/v1/history',
  metrics: '/metrics',
  health: '/healthz',
  ready: '/readyz',
};
const CALLS = ['POST /v1/tts', 'POST /v1/stt', 'POST /v1/llm', 'POST /v1/image', 'GET /audio/*', '/consumers/NAME/*'];

export function createRootRoutes({ version }: { readonly version: string }): Route[] {
  return [
    {
      method: 'GET',
      path: '/',
      needs: 'ask',
      handler(exchange) {
        if (isBrowser(exchange)) sendText(exchange, 302, 'text/plain; charset=utf-8', '/ui/\n', TO_PAGE);
        else sendJson(exchange, 200, { name: NAME, version, links: LINKS, calls: CALLS });
      },
    },
  ];
}

/** Programs get JSON from the same address, so what is kept must not be mixed up. */
const TO_PAGE = { Location: '/ui/', Vary: 'Accept' };

const isBrowser = ({ req }: Exchange): boolean => (req.headers.accept ?? '').includes('text/html');
