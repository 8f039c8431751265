/** Looking into parsed JSON in tests, without believing its shape. */
import assert from 'node:assert/strict';

/** What stands at a path of a JSON value; undefined where there is nothing. */
export function valueAt(value: unknown, ...path: readonly (string | number)[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = new Map<string, unknown>(Object.entries(current)).get(String(key));
  }
  return current;
}

export function textAt(value: unknown, ...path: readonly (string | number)[]): string {
  const found = valueAt(value, ...path);
  assert.equal(typeof found, 'string', `a text at ${path.join('.')}, not ${JSON.stringify(found)}`);
  return String(found);
}

export function numberAt(value: unknown, ...path: readonly (string | number)[]): number {
  const found = valueAt(value, ...path);
  assert.equal(typeof found, 'number', `a number at ${path.join('.')}, not ${JSON.stringify(found)}`);
  return Number(found);
}

export function listAt(value: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = valueAt(value, ...path);
  assert.ok(Array.isArray(found), `a list at ${path.join('.')}, not ${JSON.stringify(found)}`);
  return found;
}
