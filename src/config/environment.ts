/**
 * `${NAME}` and `${NAME:-default}` in the values of the configuration file. Keys are never expanded, and what a
 * variable holds is never expanded again. Owns no state; reads no environment but the one it is given.
 */
import { parse, Scalar } from 'yaml';
import type { Path } from './document.js';
import { isSecretPath } from './secrets.js';

export interface Expansion {
  readonly variables: readonly string[];
  readonly wrong: readonly string[];
}

/** `$${` stands for a literal `${`. Whatever else begins with `${` must be a reference. */
const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g;
const NAME_AND_DEFAULT = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/** What YAML makes of a plain text, where that is a number or a truth value; else the text itself. */
function retyped(text: string): unknown {
  if (!/^[-+.\w]+$/.test(text)) return text;
  const value: unknown = parse(text);
  return typeof value === 'number' || typeof value === 'boolean' ? value : text;
}

/**
 * Fills in the scalar in place; null: there was nothing to fill in. A plain (unquoted) value that is one reference
 * and nothing else becomes what YAML would have made of the result, so that `${PORT}` can be a number. Secrets stay
 * text, since a number would lose their leading zeros.
 */
export function expandVariables(scalar: Scalar, path: Path, env: NodeJS.ProcessEnv): Expansion | null {
  const text = scalar.value;
  if (typeof text !== 'string' || !text.includes('${')) return null;
  const variables: string[] = [];
  const wrong: string[] = [];
  const filled = text.replace(REFERENCE, (whole: string, inner: string | undefined, end: string | undefined) => {
    if (whole === '$${') return '${';
    const [, name, fallback] = (end === '}' && NAME_AND_DEFAULT.exec(inner ?? '')) || [];
    if (name === undefined) {
      wrong.push(`a broken reference; write \${NAME} or \${NAME:-default}, and $\${ for a literal \${`);
      return whole;
    }
    variables.push(name);
    const value = env[name];
    // As in a shell, `:-` also stands in for a variable that is set to nothing.
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
    if (value !== undefined) return value;
    wrong.push(`the environment variable ${name} is not set; set it, or give a default with \${${name}:-default}`);
    return whole;
  });
  const isOneReference = /^\$\{[^}]*\}$/.test(text) && scalar.type === Scalar.PLAIN;
  if (wrong.length === 0) scalar.value = isOneReference && !isSecretPath(path) ? retyped(filled) : filled;
  return { variables, wrong };
}
