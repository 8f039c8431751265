/**
 * Paths as a service will understand them, for deciding only: what is forwarded stays as it came. Spellings that mean
 * the same (`/api//pull`, `/api/%70ull`, `/api/pull/`, upper case) must not slip past a rule. The door has refused dot
 * segments, fragments and invalid escapes before.
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

interface Rule {
  readonly method: string;
  readonly path: RegExp;
}

/** Compiled once per list, gone with it. */
const compiled = new WeakMap<readonly string[], readonly Rule[]>();

/** `METHOD /pattern`; `*` in the pattern stands for anything, as a method for any. */
export function matchesAny(request: RequestLine, patterns: readonly string[]): boolean {
  const path = meantPath(request.path);
  return rulesOf(patterns).some(
    (rule) => (rule.method === '*' || rule.method === request.method) && rule.path.test(path),
  );
}

function rulesOf(patterns: readonly string[]): readonly Rule[] {
  const known = compiled.get(patterns);
  if (known !== undefined) return known;
  const rules = patterns.map((pattern) => {
    const [method = '', path = ''] = pattern.split(/\s+/, 2);
    return { method: method.toUpperCase(), path: globOf(path) };
  });
  compiled.set(patterns, rules);
  return rules;
}

function globOf(pattern: string): RegExp {
  const escaped = meantPath(pattern)
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*');
  return new RegExp(`^${escaped}$`);
}
