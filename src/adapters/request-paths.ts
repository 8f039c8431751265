/**
 * Paths as a service will understand them, for deciding only: what is forwarded stays as it came. Spellings that mean
 * the same (`/api//pull`, `/api/%70ull`, `/api/pull/`, upper case) must not slip past a rule.
 */
import type { RequestLine } from './adapter.js';

export function meantPath(path: string): string {
  let decoded = path;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    // Not a valid escape: the service sees the text as it is.
  }
  const kept: string[] = [];
  for (const segment of decoded.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment === '..') kept.pop();
    else kept.push(segment.toLowerCase());
  }
  return `/${kept.join('/')}`;
}

/** `METHOD /pattern`; `*` in the pattern stands for anything, as a method for any. */
export function matchesAny(request: RequestLine, patterns: readonly string[]): boolean {
  const path = meantPath(request.path);
  return patterns.some((pattern) => {
    const [method = '', wanted = ''] = pattern.split(/\s+/, 2);
    return (method === '*' || method.toUpperCase() === request.method) && globOf(wanted).test(path);
  });
}

const globs = new Map<string, RegExp>();

function globOf(pattern: string): RegExp {
  const known = globs.get(pattern);
  if (known !== undefined) return known;
  const escaped = meantPath(pattern.replaceAll('*', '\u0000'))
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('\u0000', '.*');
  const glob = new RegExp(`^${escaped}$`);
  if (globs.size < 1000) globs.set(pattern, glob);
  return glob;
}

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

export const isRead = (method: string): boolean => READS.has(method);
