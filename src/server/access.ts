/**
 * Who may ask, and who may change things (product.md section 9). Owns the compiled form of the `access` settings and
 * compiles it again when the configuration in force is another one; so a reload counts from the next request on.
 */
import type { IncomingMessage } from 'node:http';
import type { Configuration } from '../config/configuration.js';
import { BrokerError } from '../errors.js';
import type { ConfigurationPort } from '../runtime/ports.js';
import type { Caller, Route } from './exchange.js';
import { createHostCheck, type HostCheck, isLoopbackName } from './hosts.js';
import { asNetwork, createNetworks, isLoopback, type Networks, plainAddress } from './networks.js';
import { hostNameOf } from './target.js';

export interface Knock {
  readonly req: IncomingMessage;
  /** From the request line or `Host`; null: an HTTP/1.0 client sent none, which no browser does. */
  readonly authority: string | null;
  readonly needs: Route['needs'];
  readonly isUpgrade: boolean;
}

export interface Access {
  /** Throws `unauthorized` or `forbidden`, with the address that asked and the line that would allow it. */
  admit(knock: Knock): Caller;
  /** The origin of a page that is not ours and may ask and read (`access.origins`); null: there is none. */
  pageOf(knock: Pick<Knock, 'req' | 'authority'>): string | null;
}

interface Rules {
  readonly madeFrom: Configuration;
  readonly allow: Networks;
  readonly operators: Networks;
  readonly proxies: Networks;
  readonly answersTo: HostCheck;
  readonly origins: ReadonlySet<string>;
}

export function createAccess(configuration: ConfigurationPort): Access {
  let rules: Rules | null = null;
  function inForce(): Rules {
    const current = configuration.current();
    if (rules?.madeFrom !== current) rules = compile(current);
    return rules;
  }
  return {
    admit(knock) {
      const now = inForce();
      const caller = callerOf(knock, now);
      checkAddress(caller, knock.needs);
      checkHost(knock, now);
      checkOrigin(knock, now);
      checkOperator(caller, knock);
      return caller;
    },
    pageOf(knock) {
      const origin = foreignOrigin(knock);
      return origin !== null && isOpenTo(origin, inForce()) ? origin : null;
    },
  };
}

function compile(configuration: Configuration): Rules {
  const { access } = configuration;
  return {
    madeFrom: configuration,
    allow: createNetworks(access.allow),
    operators: createNetworks(access.operators),
    proxies: createNetworks(access.proxies),
    answersTo: createHostCheck(access.hosts),
    origins: new Set(access.origins),
  };
}

function callerOf(knock: Knock, rules: Rules): Caller {
  const { req, authority } = knock;
  const address = addressOf(req, rules.proxies);
  const hostName = authority === null ? null : hostNameOf(authority);
  // Behind a front proxy that sends no X-Forwarded-For everybody seems to come from here; its Host gives it away.
  const trueLoopback = !isLoopback(address) || (hostName !== null && isLoopbackName(hostName));
  return {
    address,
    mayAsk: rules.allow.has(address),
    // Whoever lets a page ask has not let it evict.
    mayOperate: rules.operators.has(address) && trueLoopback && foreignOrigin(knock) === null,
  };
}

/** A text that is no address belongs to no network, so who sends one is not let in. */
function addressOf(req: IncomingMessage, proxies: Networks): string {
  const peer = plainAddress(req.socket.remoteAddress ?? '') ?? 'unknown';
  const forwarded = req.headers['x-forwarded-for'];
  if (forwarded === undefined || !proxies.has(peer)) return peer;
  const last = (Array.isArray(forwarded) ? forwarded.join(',') : forwarded).split(',').at(-1) ?? '';
  return plainAddress(last) ?? (last.trim() || 'unknown');
}

function checkAddress(caller: Caller, needs: Route['needs']): void {
  if (needs === 'anybody' || caller.mayAsk) return;
  throw new BrokerError(
    'unauthorized',
    `${caller.address} is not in a network that may ask; ${remedy('allow', caller)}`,
    {
      // RFC 9110, section 11.6.1: a 401 names a scheme.
      headers: { 'WWW-Authenticate': 'Bearer realm="mgpumanager"' },
    },
  );
}

function checkHost({ authority }: Knock, rules: Rules): void {
  if (authority === null) return;
  const name = hostNameOf(authority);
  if (rules.answersTo(name)) return;
  throw new BrokerError(
    'forbidden',
    `this broker does not answer to the host name ${name}; to allow it: access.hosts: [..., "${name}"]`,
  );
}

/** null: no page asks, or one that came from here. */
function foreignOrigin({ req, authority }: Pick<Knock, 'req' | 'authority'>): string | null {
  const { origin } = req.headers;
  return origin === undefined || isSameOrigin(origin, authority) ? null : origin;
}

const isOpenTo = (origin: string, { origins }: Rules): boolean =>
  origins.size > 0 && (origins.has('*') || origins.has(origin.toLowerCase()));

/** A page of somebody else's may make a browser send; what only reads it may not read, unless it is named. */
function checkOrigin(knock: Knock, rules: Rules): void {
  const { req, isUpgrade } = knock;
  const origin = foreignOrigin(knock);
  if (origin === null || isOpenTo(origin, rules)) return;
  if (!isUpgrade && (req.method === 'GET' || req.method === 'HEAD')) return;
  const what = isUpgrade ? 'connection upgrade' : `${req.method} request`;
  throw new BrokerError(
    'forbidden',
    `no ${what} from a page of another origin (${origin}) is let through; open the page through this broker, send the request without an Origin header, or allow the page: access.origins: [..., ${JSON.stringify(origin)}]`,
  );
}

function isSameOrigin(origin: string, authority: string | null): boolean {
  if (authority === null || !URL.canParse(origin)) return false;
  const page = new URL(origin);
  // Parsed with the page's scheme, so that a default port counts as none on both sides.
  const here = `${page.protocol}//${authority}`;
  return page.host !== '' && URL.canParse(here) && new URL(here).host === page.host;
}

function checkOperator(caller: Caller, knock: Knock): void {
  const { needs, authority } = knock;
  if (needs !== 'operate' || caller.mayOperate) return;
  const page = foreignOrigin(knock);
  if (page !== null) {
    throw new BrokerError('forbidden', `this needs operator rights, which no page of another origin (${page}) has`);
  }
  throw new BrokerError('forbidden', `this needs operator rights: ${explainLookOnly(caller, authority)}`);
}

/** Why a caller who may ask may not change things, with the line that would allow it. */
export function explainLookOnly(caller: Caller, authority: string | null): string {
  return isLoopback(caller.address)
    ? `${caller.address} asked with the host name ${authority ?? '(none)'}; from this machine use http://127.0.0.1 or http://localhost`
    : `${caller.address} may look, not change things; ${remedy('operators', caller)}`;
}

function remedy(key: 'allow' | 'operators', caller: Caller): string {
  const address = plainAddress(caller.address);
  if (address === null) return 'the X-Forwarded-For header of the proxy in front must end with an IP address';
  return `to allow it: access.${key}: [..., "${asNetwork(address)}"]`;
}
