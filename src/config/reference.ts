/**
 * The reference page of the configuration and its JSON Schema, made from the schema that validates. What they say is
 * committed in `docs/reference/`; `npm test` fails when it is not what this makes. Owns no state.
 *
 * Run as a program it writes both into the folder it is given: `node dist/src/config/reference.js docs/reference`.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { alternatives, documentedSchema, isNotYet, type JsonSchema, publishedSchema } from './json-schema.js';
import { DURATION_PATTERN } from './values.js';

export const SCHEMA_FILE = 'configuration.schema.json';
export const PAGE_FILE = 'configuration.md';

const INTRODUCTION = `# Configuration reference

Generated from the schema that validates the file (\`src/config/schema.ts\`); do not edit. To make it anew:
\`npm run build && node dist/src/config/reference.js docs/reference\`.

\`mgpu check [FILE]\` says all that is wrong with a file, each with line and column; \`mgpu check --explain\` shows every
value in force and where it came from. Editors that know YAML schemas check while one types if the first line of the
file is \`# yaml-language-server: $schema=PATH\` with the path of \`${SCHEMA_FILE}\`.

Durations are a whole number and a unit: \`250ms\`, \`5s\`, \`10m\`, \`1h\`, at most \`500h\`. Sizes are in MiB. In values (not in
keys) \`\${NAME}\` and \`\${NAME:-default}\` come from the environment; \`$\${\` is a literal \`\${\`. What \`headers\` hold, and what
keys that end in key, token, secret or password hold, is never shown. A consumer's keys come from the file, else from
its kind, else from the default here.
`;

const isSchema = (value: unknown): value is JsonSchema => typeof value === 'object' && value !== null;
const code = (value: unknown): string => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;

/** Vertical bars would end the cell of a table. */
const cell = (text: string): string => text.replaceAll('|', '\\|');

function typeOf(schema: JsonSchema): string {
  if (schema.pattern === DURATION_PATTERN) return 'duration';
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ');
  if (schema.anyOf !== undefined) return [...new Set(alternatives(schema).map(typeOf))].join(' or ');
  if (schema.const !== undefined) return code(schema.const);
  if (schema.type === 'array')
    return isSchema(schema.items) && !Array.isArray(schema.items) ? `list of ${typeOf(schema.items)}` : 'list';
  if (schema.type === 'object')
    return schema.properties === undefined ? 'map' : `{${Object.keys(schema.properties).join(', ')}}`;
  if (schema.type === 'boolean') return '`true`, `false`';
  if (schema.type === 'integer') return `whole number, ${schema.minimum ?? ''} to ${schema.maximum ?? ''}`;
  const example = schema.examples?.[0];
  return example === undefined ? 'text' : `text such as ${code(example)}`;
}

function defaultOf(schema: JsonSchema): string {
  const isEmptyMap = isSchema(schema.default) && !Array.isArray(schema.default);
  if (schema.default !== undefined && !isEmptyMap) return code(schema.default);
  return typeof schema.absent === 'string' ? schema.absent : '';
}

const row = (key: string, schema: JsonSchema): string =>
  `| \`${key}\` | ${[typeOf(schema), defaultOf(schema), schema.description ?? ''].map(cell).join(' | ')} |`;

const saysSomething = (schema: JsonSchema): boolean => schema.description !== undefined || defaultOf(schema) !== '';

/** Objects are followed by their keys, a map of names by the keys of one entry. */
function rows(schema: JsonSchema, prefix: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    if (!isSchema(inner) || (prefix === '' && key === 'consumers')) return [];
    const name = prefix + key;
    // The keys of `routes` and the like are told by the row above them.
    const isTold = prefix !== '' && !saysSomething(inner) && inner.properties === undefined;
    if (isNotYet(inner)) return [`| \`${name}\` | not yet | | refused for now |`];
    if (isTold) return [];
    const named = isSchema(inner.additionalProperties) ? inner.additionalProperties : undefined;
    const below = named?.properties !== undefined ? rows(named, `${name}.NAME.`) : ownRows(inner, `${name}.`);
    return saysSomething(inner) || below.length === 0 ? [row(name, inner), ...below] : below;
  });
}

const ownRows = (schema: JsonSchema, prefix: string): string[] =>
  alternatives(schema).flatMap((one) => rows(one, prefix));

const table = (lines: readonly string[]): string =>
  ['| key | value | default | meaning |', '| --- | --- | --- | --- |', ...lines].join('\n');

export function referencePage(): string {
  const schema = documentedSchema();
  const consumers = schema.properties?.consumers;
  const consumer =
    isSchema(consumers) && isSchema(consumers.additionalProperties) ? consumers.additionalProperties : {};
  return [
    INTRODUCTION,
    '## The file\n',
    table([...rows(schema, ''), '| `consumers` | map | | one NAME: {...} a consumer, keys below; required |']),
    '\n## A consumer: `consumers.NAME`\n',
    table(rows(consumer, '')),
    '',
  ].join('\n');
}

export const referenceSchema = (): string => `${JSON.stringify(publishedSchema(), null, 2)}\n`;

/** Makes the folder if it is not there. */
export async function writeReference(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, PAGE_FILE), referencePage());
  await writeFile(join(folder, SCHEMA_FILE), referenceSchema());
}

const [, program, folder] = process.argv;
if (program !== undefined && import.meta.url === pathToFileURL(program).href) {
  if (folder === undefined) throw new Error('name the folder: node dist/src/config/reference.js docs/reference');
  await writeReference(folder);
}
