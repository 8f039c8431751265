/** Under which address a client reaches us: what it asked, and what a trusted proxy in front says of that. Keeps nothing. */
import type { Configuration } from '../config/configuration.js';
import type { Exchange } from '../server/exchange.js';
import { createNetworks, plainAddress } from '../server/networks.js';
import { requestTargetOf } from '../server/target.js';
import { refused } from './image-wish.js';

/** `https://name:port`. Throws `bad_request` where the client named no host. */
export function publicOriginOf({ req }: Pick<Exchange, 'req'>, { access }: Configuration): string {
  const peer = plainAddress(req.socket.remoteAddress ?? '');
  const isProxy = peer !== null && createNetworks(access.proxies).has(peer);
  const host = (isProxy ? forwarded(req.headers['x-forwarded-host']) : null) ?? requestTargetOf(req).authority;
  if (host === null) throw refused('response_format', 'a url needs a Host header to be made from; ask for b64_json');
  const scheme = isProxy && forwarded(req.headers['x-forwarded-proto']) === 'https' ? 'https' : 'http';
  return `${scheme}://${host}`;
}

/** What the nearest proxy said. */
function forwarded(header: string | string[] | undefined): string | null {
  const text = Array.isArray(header) ? header.join(',') : header;
  return text?.split(',').at(-1)?.trim() || null;
}
