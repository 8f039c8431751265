/** `GET /`: what this is and where to go on. JSON, or a small page where the client is a browser. Keeps nothing. */
import type { Exchange, Route } from '../server/exchange.js';
import { sendJson, sendText } from '../server/respond.js';

const NAME = 'mgpumanager';

/** Reading only; what changes things is in the documents. */
const LINKS: Readonly<Record<string, string>> = {
  status: '/v1/status',
  jobs: '/v1/jobs',
  events: '/v1/events',
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
        if (isBrowser(exchange)) sendText(exchange, 200, 'text/html; charset=utf-8', page(version), PAGE_HEADERS);
        else sendJson(exchange, 200, { name: NAME, version, links: LINKS, calls: CALLS });
      },
    },
  ];
}

const PAGE_HEADERS = { 'Content-Security-Policy': "default-src 'none'", Vary: 'Accept' };

const isBrowser = ({ req }: Exchange): boolean => (req.headers.accept ?? '').includes('text/html');

function page(version: string): string {
  const links = Object.entries(LINKS).map(([name, path]) => `<li><a href="${path}">${name}</a></li>`);
  const calls = CALLS.map((call) => `<li><code>${call}</code></li>`);
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${NAME}</title>
<h1>${NAME} ${version}</h1>
<p>One GPU, many services: requests wait here for their turn.</p>
<ul>${links.join('')}</ul>
<p>Calls:</p>
<ul>${calls.join('')}</ul>
</html>
`;
}
