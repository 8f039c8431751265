/**
 * Every effective value in the words of the file, and where it came from. Secrets are replaced here, so that nothing
 * that is shown can contain one. Owns no state.
 */
import type { Path, SourceDocument } from './document.js';
import { alternatives, documentedSchema, isNotYet, type JsonSchema } from './json-schema.js';
import { entriesOf } from './references.js';
import { HIDDEN, isSecretVariable, redact } from './secrets.js';

export type Origin =
  | { readonly from: 'file'; readonly line: number; readonly column: number }
  | {
      readonly from: 'environment';
      readonly line: number;
      readonly column: number;
      readonly variables: readonly string[];
    }
  | { readonly from: 'kind'; readonly kind: string }
  | { readonly from: 'default' };

export interface EffectiveValue {
  readonly keyPath: string;
  /** As it could stand in the file; a word such as `learned` where there is no value; never a secret. */
  readonly text: string;
  readonly origin: Origin;
}

/** `consumers.mvoice.can_coexist_with[0]` */
export function keyPathOf(path: Path): string {
  return path
    .map((segment, index) => (typeof segment === 'number' ? `[${segment}]` : index === 0 ? segment : `.${segment}`))
    .join('');
}

interface Leaf {
  readonly path: Path;
  readonly value: unknown;
  readonly absent: string | null;
}

const isSchema = (value: unknown): value is JsonSchema => typeof value === 'object' && value !== null;
const isMapOfValues = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The alternative that an object belongs to: the one that has most of its keys. */
function objectSchema(schema: JsonSchema, value: unknown): JsonSchema | undefined {
  const keys = Object.keys(entriesOf(value));
  const fit = (one: JsonSchema) => keys.filter((key) => Object.hasOwn(one.properties ?? {}, key)).length;
  return alternatives(schema)
    .filter((one) => one.type === 'object')
    .sort((a, b) => fit(b) - fit(a))[0];
}

function leavesOf(schema: JsonSchema, given: unknown, path: Path): Leaf[] {
  if (isNotYet(schema)) return [];
  const value = given ?? schema.default;
  const shape = isMapOfValues(value) ? objectSchema(schema, value) : undefined;
  if (shape === undefined) {
    const absent = typeof schema.absent === 'string' ? schema.absent : null;
    return value === undefined && absent === null ? [] : [{ path, value, absent }];
  }
  const entries = entriesOf(value);
  const known = Object.entries(shape.properties ?? {});
  const names = isSchema(shape.additionalProperties) ? Object.keys(entries) : [];
  const ofNames = isSchema(shape.additionalProperties) ? shape.additionalProperties : {};
  return [
    ...known.flatMap(([key, inner]) => (isSchema(inner) ? leavesOf(inner, entries[key], [...path, key]) : [])),
    ...names.flatMap((name) => leavesOf(ofNames, entries[name], [...path, name])),
  ];
}

function originOf({ path, value }: Leaf, document: SourceDocument, layers: Readonly<Record<string, unknown>>): Origin {
  const found = document.origin(path);
  if (found !== null) {
    const { place, variables } = found;
    return variables.length === 0 ? { from: 'file', ...place } : { from: 'environment', ...place, variables };
  }
  const [top, consumer, ...rest] = path;
  const layer = top === 'consumers' && typeof consumer === 'string' ? layers[consumer] : undefined;
  const brought = rest.reduce<unknown>((inner, segment) => entriesOf(inner)[segment], layer);
  return brought !== undefined && value !== undefined ? { from: 'kind', kind: '' } : { from: 'default' };
}

/** `effective`: the file over its kinds (`layers.ts`), without the general defaults, which the schema knows. */
export function explain(
  document: SourceDocument,
  effective: Readonly<Record<string, unknown>>,
  layers: Readonly<Record<string, unknown>>,
): EffectiveValue[] {
  return leavesOf(documentedSchema(), effective, []).map((leaf) => {
    const origin = originOf(leaf, document, layers);
    const consumer = entriesOf(entriesOf(effective.consumers)[String(leaf.path[1])]);
    const fromSecret = origin.from === 'environment' && origin.variables.some(isSecretVariable);
    const shown = redact(leaf.value, leaf.path);
    const text =
      leaf.value === undefined ? (leaf.absent ?? '') : typeof shown === 'string' ? shown : JSON.stringify(shown);
    return {
      keyPath: keyPathOf(leaf.path),
      text: fromSecret ? HIDDEN : text,
      origin: origin.from === 'kind' ? { from: 'kind', kind: String(consumer.kind ?? 'http') } : origin,
    };
  });
}
