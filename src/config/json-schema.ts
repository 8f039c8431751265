/**
 * The JSON Schema of the configuration file, made from the schema that validates: for editors, for the reference
 * page, for `check --explain`, and to know which keys exist at a place. Owns no state.
 */
import * as z from 'zod';
import type { Path } from './document.js';
import { fileSchema } from './schema.js';

export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** What the file may contain (`io: 'input'`); `absent` tells what holds where a key has neither value nor default. */
export function documentedSchema(): JsonSchema {
  return z.toJSONSchema(fileSchema, { io: 'input' });
}

/** For editors: standard keywords only. Published as `docs/reference/configuration.schema.json`. */
export function publishedSchema(): JsonSchema {
  const override = ({ jsonSchema }: { jsonSchema: JsonSchema }) => {
    delete jsonSchema.absent;
  };
  const { '~standard': _, ...schema } = z.toJSONSchema(fileSchema, { io: 'input', override });
  return { title: 'mGPUmanager configuration', ...schema };
}

const isSchema = (value: unknown): value is JsonSchema => typeof value === 'object' && value !== null;

/** The schema itself, or all that it lets one choose from. */
export function alternatives(schema: JsonSchema): JsonSchema[] {
  return schema.anyOf === undefined ? [schema] : schema.anyOf.flatMap(alternatives);
}

/** The schemas of the entries of a list, of a map of names, or of one key of an object. */
function inside(schema: JsonSchema, segment: string | number): JsonSchema[] {
  if (typeof segment === 'number') return isSchema(schema.items) && !Array.isArray(schema.items) ? [schema.items] : [];
  const inner = schema.properties?.[segment] ?? schema.additionalProperties;
  return isSchema(inner) ? [inner] : [];
}

/** The keys that may stand in the map at this path, in the order of the schema. */
export function keysAt(schema: JsonSchema, path: Path): string[] {
  let level = alternatives(schema);
  for (const segment of path) level = level.flatMap((one) => inside(one, segment)).flatMap(alternatives);
  const keys = level.flatMap((one) => Object.entries(one.properties ?? {}));
  return [...new Set(keys.filter(([, value]) => !isNotYet(value)).map(([key]) => key))];
}

/** A key that is known but refused is written as `{not: {}}`. */
export const isNotYet = (schema: unknown): boolean => isSchema(schema) && schema.not !== undefined;
