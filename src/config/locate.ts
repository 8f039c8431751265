/** Where in a YAML document a key path leads: through aliases, and through maps that were merged in with `<<`. Pure. */
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, type Node, type Pair, type YAMLMap } from 'yaml';
import type { Path } from './document.js';

/** The key of a pair, null where it is no plain word. */
export const keyText = (pair: Pair): string | null => (isScalar(pair.key) ? String(pair.key.value) : null);

function resolved(node: unknown, document: Document): Node | null {
  if (isAlias(node)) return node.resolve(document) ?? null;
  return isNode(node) ? node : null;
}

/** The pair that gives a key its value: the map's own last one, else the first map merged into it that has the key. */
function pairOf(map: YAMLMap, key: string, document: Document): Pair | null {
  const own = map.items.findLast((pair) => keyText(pair) === key);
  if (own !== undefined) return own;
  for (const merge of map.items.filter((pair) => keyText(pair) === '<<')) {
    const source = resolved(merge.value, document);
    for (const part of isSeq(source) ? source.items : [source]) {
      const merged = resolved(part, document);
      const found = isMap(merged) ? pairOf(merged, key, document) : null;
      if (found !== null) return found;
    }
  }
  return null;
}

/** Follows the path as far as it goes. `key`: the nearest key on the way, `value`: null if the path ends before. */
export function walk(document: Document, path: Path): { key: Node | null; value: Node | null } {
  let key: Node | null = null;
  let value = resolved(document.contents, document);
  for (const segment of path) {
    if (isMap(value)) {
      const pair = pairOf(value, String(segment), document);
      if (pair === null) return { key, value: null };
      key = isNode(pair.key) ? pair.key : key;
      value = resolved(pair.value, document);
    } else if (isSeq(value) && typeof segment === 'number') {
      value = resolved(value.items[segment], document);
    } else {
      return { key, value: null };
    }
  }
  return { key, value };
}
