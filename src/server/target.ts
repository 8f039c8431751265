/**
 * What a request asks for: path, query and host, read from the request line and the `Host` header without changing a
 * byte of what will be forwarded. Refuses request lines that two servers could read in two ways. Keeps nothing.
 */
import type { IncomingMessage } from 'node:http';
import { BrokerError } from '../errors.js';

export interface RequestTarget {
  /** As it came, percent-encoding untouched. */
  readonly path: string;
  /** `?a=b` or empty, as it came. */
  readonly query: string;
  /** `name`, `name:port`, `[::1]:port`; null where an HTTP/1.0 client sent none. */
  readonly authority: string | null;
}

const ABSOLUTE_FORM = /^https?:\/\/([^/?#]+)(.*)$/i;
const AUTHORITY = /^(\[[0-9a-f:.]+\]|[^\s:[\]/?#@]+)(?::\d{1,5})?$/i;

/** Throws `bad_request`. RFC 9112, section 3.2: the absolute form must be understood and wins over `Host`. */
export function requestTargetOf(req: IncomingMessage): RequestTarget {
  const asked = req.url ?? '';
  const absolute = ABSOLUTE_FORM.exec(asked);
  const authority = absolute?.[1] ?? req.headers.host ?? null;
  checkAuthority(authority, req.httpVersion);
  const rest = absolute === null ? asked : (absolute[2] ?? '');
  const local = rest === '' || rest.startsWith('?') ? `/${rest}` : rest;
  if (!local.startsWith('/') || local.includes('#')) {
    throw new BrokerError('bad_request', `the request line must name a path that starts with / and has no #: ${asked}`);
  }
  const queryAt = local.indexOf('?');
  const path = queryAt === -1 ? local : local.slice(0, queryAt);
  checkPath(path);
  return { path, query: queryAt === -1 ? '' : local.slice(queryAt), authority };
}

function checkAuthority(authority: string | null, httpVersion: string): void {
  if (authority === null) {
    if (httpVersion === '1.0') return;
    throw new BrokerError('bad_request', 'an HTTP/1.1 request needs a Host header');
  }
  if (!AUTHORITY.test(authority)) {
    throw new BrokerError('bad_request', `the Host header is not a host name with an optional port: ${authority}`);
  }
}

/**
 * What may pass is decided by the path; a service behind that resolves `..` itself would see another path than the
 * one decided on. Clients resolve such segments before they send, so refusing them costs nobody anything.
 */
function checkPath(path: string): void {
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    throw new BrokerError('bad_request', `the path is not valid percent-encoded UTF-8: ${path}`);
  }
  if (decoded.split('/').some((segment) => segment === '.' || segment === '..')) {
    throw new BrokerError('bad_request', `the path must not have . or .. segments: ${path}`);
  }
}

/** `NAME:8770` → `name`, `[::1]:8770` → `::1`; lower case, without a closing dot. */
export function hostNameOf(authority: string): string {
  const bracketed = /^\[(.+)\]/.exec(authority)?.[1];
  const name = bracketed ?? authority.replace(/:\d+$/, '');
  return name.toLowerCase().replace(/\.$/, '');
}
