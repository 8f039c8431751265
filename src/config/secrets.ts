/**
 * Which values must never appear in any output: those of `headers`, and of keys that end in key, token, secret or
 * password. The one place that decides it. Owns no state.
 */
import type { Path } from './document.js';

export const HIDDEN = '(hidden)';

const SECRET_WORD = /(key|token|secret|password)$/i;

/** Names given by the user in these maps are not keys of ours: a consumer may well be called `monkey`. */
const MAPS_OF_NAMES: ReadonlySet<string> = new Set(['consumers', 'models']);

export function isSecretPath(path: Path): boolean {
  return path.some((segment, index) => {
    const parent = path[index - 1];
    const isName = typeof parent === 'string' && MAPS_OF_NAMES.has(parent);
    // `headers` itself has only names in it; what stands below is secret.
    if (segment === 'headers') return !isName && index < path.length - 1;
    return typeof segment === 'string' && !isName && SECRET_WORD.test(segment);
  });
}

/** An environment variable with such a name is a secret wherever it is used. */
export const isSecretVariable = (name: string): boolean => SECRET_WORD.test(name);

/** A copy for showing, with everything secret in it replaced. */
export function redact(value: unknown, path: Path): unknown {
  if (isSecretPath(path)) return HIDDEN;
  if (Array.isArray(value)) return value.map((item, index) => redact(item, [...path, index]));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redact(item, [...path, key])]));
  }
  return value;
}
