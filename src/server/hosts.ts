/**
 * Which `Host` names we answer to. A web page whose name was rebound to our address carries its own name here: that
 * is what gives it away. Keeps nothing.
 */
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { isLoopback } from './networks.js';

/** Names that only private networks hand out; nobody can register one and point it at us. */
const PRIVATE_SUFFIXES = ['*.ts.net', '*.local', '*.lan', '*.internal', '*.home.arpa'];

export type HostCheck = (name: string) => boolean;

/** A page under such a name is served by this machine itself. */
export function isLoopbackName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost') || isLoopback(name);
}

/** `patterns`: `access.hosts`, names and `*.suffix`; null: what is answered where the file says nothing. */
export function createHostCheck(patterns: readonly string[] | null, ownName: string = hostname()): HostCheck {
  const matches = matcherOf(patterns ?? PRIVATE_SUFFIXES);
  if (patterns !== null) return (name) => isLoopbackName(name) || matches(name);
  const own = ownName.toLowerCase();
  return (name) => isLoopbackName(name) || isIP(name) !== 0 || !name.includes('.') || name === own || matches(name);
}

function matcherOf(patterns: readonly string[]): HostCheck {
  const lower = patterns.map((pattern) => pattern.toLowerCase());
  const names = new Set(lower.filter((pattern) => !pattern.startsWith('*')));
  const suffixes = lower.filter((pattern) => pattern.startsWith('*')).map((pattern) => pattern.slice(1));
  return (name) => names.has(name) || suffixes.some((suffix) => name.endsWith(suffix));
}
