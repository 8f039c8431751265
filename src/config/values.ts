/**
 * The small languages inside the configuration file: durations, addresses, networks, paths, calls. Each reader turns
 * the text a person writes into the value the program uses, or says in one sentence what is wrong and what would be
 * right. No sentence ever contains the text itself, because it may have come from a secret. Owns no state.
 */
import { isIP, isIPv6 } from 'node:net';
import { type Target, targetOfName } from '../core/vocabulary.js';
import type { BindAddress } from './configuration.js';

export type Reading<T> = { readonly value: T } | { readonly wrong: string };

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
export const DURATION_PATTERN = '^[0-9]+(ms|s|m|h)$';
/** Node's timers hold at most 2^31 - 1 ms, a little over 596 hours; a longer one would fire at once. */
const LONGEST_DURATION_MS = 500 * 3_600_000;

export function readDuration(text: string): Reading<number> {
  const [, amount, unit] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  const unitMs = UNIT_MS[unit ?? ''];
  if (amount === undefined || unitMs === undefined) {
    return { wrong: 'not a duration; say a duration such as 250ms, 5s, 10m or 1h' };
  }
  const value = Number(amount) * unitMs;
  return value > LONGEST_DURATION_MS ? { wrong: 'too long; the longest duration is 500h' } : { value };
}

/** `PORT` of 1 to 5 digits, 0 to 65535 (0: any free one); null otherwise. */
function readPort(text: string): number | null {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port <= 65_535 ? port : null;
}

const HOST_NAME = /^(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$/;
/** A last label of digits only can only be a mistyped IPv4 address (RFC 1123, 2.1). */
const LOOKS_LIKE_IPV4 = /(^|\.)\d+$/;

const isHost = (text: string): boolean => isIP(text) !== 0 || (HOST_NAME.test(text) && !LOOKS_LIKE_IPV4.test(text));

export function readBindAddress(text: string): Reading<BindAddress> {
  if (isIPv6(text)) return { wrong: 'an IPv6 address without a port; write [ADDRESS]:8770' };
  const [, bracketed, plain, portText] = /^(?:\[([^\]]*)\]|([^[\]]*)):([^:]*)$/.exec(text) ?? [];
  if (portText === undefined) return { wrong: 'not host:port; write for instance 127.0.0.1:8770' };
  const port = readPort(portText);
  if (port === null) return { wrong: 'the port is not a number from 0 to 65535; write for instance 127.0.0.1:8770' };
  if (bracketed !== undefined) {
    return isIPv6(bracketed)
      ? { value: { host: bracketed, port } }
      : { wrong: 'no IPv6 address between the brackets; write for instance [::1]:8770' };
  }
  const host = plain ?? '';
  if (isIPv6(host)) return { wrong: 'an IPv6 address needs brackets; write [ADDRESS]:PORT' };
  if (host === '*' || host === '') return { wrong: 'no host; for all addresses of the machine write 0.0.0.0:PORT' };
  return isHost(host)
    ? { value: { host, port } }
    : { wrong: 'the host is neither a name nor an address; write for instance 127.0.0.1:8770' };
}

/** The result is always in CIDR notation: a single address becomes a network of one. */
export function readNetwork(text: string): Reading<string> {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) {
    return { wrong: 'not a network; write ADDRESS/PREFIX such as 192.168.0.0/16 or fd00::/8' };
  }
  const longest = family === 4 ? 32 : 128;
  if (prefix === undefined) return { value: `${address}/${longest}` };
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= longest
    ? { value: text }
    : {
        wrong: `the prefix length is not a number from 0 to ${longest}; write for instance ${family === 4 ? '10.0.0.0/8' : 'fd00::/8'}`,
      };
}

export function readHostPattern(text: string): Reading<string> {
  const name = text.startsWith('*.') ? text.slice(2) : text;
  return isHost(name)
    ? { value: text.toLowerCase() }
    : { wrong: 'not a host name; write a name such as gpu.example.org, or *.example.org, without a port' };
}

/** What a browser calls a page's origin; `*`: any. */
export function readOrigin(text: string): Reading<string> {
  if (text === '*') return { value: text };
  const right = 'write for instance https://chat.example.org, as the browser says it, or "*" for every page';
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s]+$/i.test(text)) return { wrong: `not the origin of a page; ${right}` };
  return { value: text.toLowerCase() };
}

/** `http://host[:port][/prefix]`, given back without a trailing slash. */
export function readServiceUrl(text: string): Reading<string> {
  const right = 'write for instance http://127.0.0.1:8766';
  if (/^https:/i.test(text)) return { wrong: `https is not spoken to consumers; ${right}` };
  if (!/^http:\/\//i.test(text)) return { wrong: `not an http:// address; ${right}` };
  if (!URL.canParse(text)) return { wrong: `not a valid address; ${right}` };
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    return { wrong: 'a user name or password in the address; put them into the headers of the consumer' };
  }
  if (url.search !== '' || url.hash !== '') return { wrong: `a query or fragment in the address; ${right}` };
  return { value: url.origin + (url.pathname === '/' ? '' : url.pathname.replace(/\/+$/, '')) };
}

/** A path on the consumer, possibly with a query; only what can stand in a request line. */
export function readPath(text: string): Reading<string> {
  if (!text.startsWith('/')) return { wrong: 'a path without a slash at its beginning; write for instance /health' };
  return /^[\x21\x22\x24-\x7e]+$/.test(text)
    ? { value: text }
    : { wrong: 'a path with a blank, a # or a character outside ASCII; percent-encode it' };
}

const METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'];

function readMethodAndPath(
  text: string,
  methods: readonly string[],
  right: string,
): Reading<{ method: string; path: string }> {
  const [method = '', path, ...rest] = text.split(' ');
  if (path === undefined || rest.length > 0) return { wrong: `not METHOD /path with one blank between; ${right}` };
  if (!methods.includes(method)) return { wrong: `the method is not one of ${methods.join(', ')}; ${right}` };
  const reading = readPath(path);
  return 'wrong' in reading ? reading : { value: { method, path: reading.value } };
}

export const readCallLine = (text: string): Reading<{ method: string; path: string }> =>
  readMethodAndPath(text, METHODS, 'write for instance POST /unload');

/** `METHOD /pattern`; `*` stands for anything, as a method too. */
export function readPassPattern(text: string): Reading<string> {
  const reading = readMethodAndPath(text, ['*', ...METHODS], 'write for instance POST /api/show');
  return 'wrong' in reading ? reading : { value: text };
}

/** `CONSUMER` or `CONSUMER/MODEL`. */
export function readAliasTarget(text: string): Reading<Target> {
  const target = targetOfName(text);
  return target.consumer === '' || target.model === ''
    ? { wrong: 'an empty name; write CONSUMER or CONSUMER/MODEL, such as ollama/qwen3:8b' }
    : { value: target };
}

/** The systemd name is later an argument of a command: the pattern also keeps it from looking like an option. */
export function readUnit(text: string): Reading<string> {
  return /^[A-Za-z0-9:_][A-Za-z0-9:_.@\\-]{0,250}\.(service|scope|slice|target)$/.test(text)
    ? { value: text }
    : { wrong: 'not the name of a systemd unit; write for instance comfyui.service' };
}

export function readPattern(text: string): Reading<RegExp> {
  try {
    return { value: new RegExp(text) };
  } catch (error) {
    // The engine's sentence quotes the expression; only its end, after the last colon, says what is wrong with it.
    const reason = error instanceof SyntaxError ? (error.message.split(': ').at(-1) ?? '').toLowerCase() : 'unreadable';
    return { wrong: `not a regular expression (${reason}); mend it, or escape special characters with a backslash` };
  }
}

export function readStateFolder(text: string): Reading<string> {
  return text.startsWith('/') || text.startsWith('~/')
    ? { value: text }
    : { wrong: 'not an absolute path; write one that begins with / or ~/' };
}

const LARGEST_SIDE = 8192;

/** `WIDTHxHEIGHT` in pixels. Models work on squares of eight. */
export function readPictureSize(text: string): Reading<{ width: number; height: number }> {
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(text) ?? [];
  const sides = [Number(width), Number(height)];
  if (sides.every((side) => side >= 8 && side <= LARGEST_SIDE && side % 8 === 0)) {
    return { value: { width: Number(width), height: Number(height) } };
  }
  return { wrong: `not WIDTHxHEIGHT in multiples of 8, at most ${LARGEST_SIDE}; write for instance 1024x1024` };
}
