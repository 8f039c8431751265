/** Where a consumer lives, taken apart once per configuration. Keeps nothing that outlives its configuration. */
import type { ConsumerConfiguration } from '../config/configuration.js';

export interface Origin {
  /** For the socket: an IPv6 address has no brackets. */
  readonly host: string;
  readonly port: number;
  /** For the `Host` header and for people: `127.0.0.1:8178`. */
  readonly authority: string;
  /** Put before every path; empty, or `/prefix`. */
  readonly prefix: string;
  /** Names of the headers that the configuration adds; lower-case. */
  readonly headers: ReadonlySet<string>;
}

const known = new WeakMap<ConsumerConfiguration, Origin>();

export function originOf(consumer: ConsumerConfiguration): Origin {
  const remembered = known.get(consumer);
  if (remembered !== undefined) return remembered;
  const { hostname, port, host, pathname } = new URL(consumer.url);
  const origin = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 80 : Number(port),
    authority: host,
    prefix: pathname.replace(/\/$/, ''),
    headers: new Set(Object.keys(consumer.headers).map((name) => name.toLowerCase())),
  };
  known.set(consumer, origin);
  return origin;
}
