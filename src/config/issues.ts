/**
 * From the schema's issues to findings: one sentence each, the deepest branch of a union, "did you mean" for unknown
 * keys. No sentence contains a value from the file. Owns no state.
 */
import type * as z from 'zod';
import type { Finding, Path } from './document.js';
import { documentedSchema, type JsonSchema, keysAt } from './json-schema.js';
import { nearest, suggestion } from './nearest.js';
import { fileSchema } from './schema.js';

type Issue = z.core.$ZodIssue;
type RawIssue = z.core.$ZodRawIssue;

const NAMES: Readonly<Record<string, string>> = {
  object: 'a map of keys and values',
  record: 'a map of keys and values',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

const MISSING = 'missing; add it';
const EMPTY = 'has no value; give it one, or remove the key';

/** Words for what no leaf has words for itself. */
function describe(issue: RawIssue): string | undefined {
  if (issue.code !== 'invalid_type') return issue.input === null ? EMPTY : undefined;
  if (issue.input === undefined) return MISSING;
  return issue.input === null ? EMPTY : `not ${NAMES[issue.expected] ?? issue.expected}; write one here`;
}
const pathOf = (base: Path, own: readonly PropertyKey[]): Path => [
  ...base,
  ...own.map((segment) => (typeof segment === 'symbol' ? String(segment) : segment)),
];

const missesTheType = (issue: Issue): boolean =>
  issue.path.length === 0 &&
  (issue.code === 'invalid_type' ||
    issue.code === 'invalid_value' ||
    (issue.code === 'invalid_union' && isHopeless(issue)));

const isHopeless = (issue: z.core.$ZodIssueInvalidUnion): boolean =>
  issue.errors.every((branch) => branch.some(missesTheType));

const unknownKeys = (branch: readonly Issue[]): number =>
  branch.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 0), 0);

const depth = (branch: readonly Issue[]): number => Math.max(...branch.map((issue) => issue.path.length));

/** The branch that the person meant: of the right type, then with the fewest unknown keys, then the deepest. */
function meantBranch(issue: z.core.$ZodIssueInvalidUnion): readonly Issue[] | null {
  const possible = issue.errors.filter((branch) => branch.length > 0 && !branch.some(missesTheType));
  return possible.sort((a, b) => unknownKeys(a) - unknownKeys(b) || depth(b) - depth(a))[0] ?? null;
}

function findingsOf(issue: Issue, base: Path, schema: JsonSchema): Finding[] {
  const path = pathOf(base, issue.path);
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, path);
    return issue.keys.map((key) => ({
      path: [...path, key],
      at: 'key',
      message: `unknown key; ${suggestion(key, known)}`,
    }));
  }
  if (issue.code === 'invalid_union') {
    const branch = meantBranch(issue);
    // With an unknown key it is not clear which branch was meant, nor what of it is missing.
    const isGuess = branch !== null && unknownKeys(branch) > 0;
    const said = branch?.filter((inner) => !isGuess || inner.message !== MISSING);
    if (said !== undefined) return said.flatMap((inner) => findingsOf(inner, path, schema));
  }
  if (issue.code === 'invalid_key') return [{ path, at: 'key', message: issue.issues[0]?.message ?? issue.message }];
  const isKey = issue.code === 'invalid_type' && issue.expected === 'never';
  return [{ path, at: isKey ? 'key' : issue.message === MISSING ? 'missing' : 'value', message: issue.message }];
}

/** Everything the schema has against the data; empty: it is good as far as the schema can see. */
export function schemaFindings(data: unknown): Finding[] {
  const result = fileSchema.safeParse(data, { error: describe });
  if (result.success) return [];
  const schema = documentedSchema();
  return result.error.issues.flatMap((issue) => findingsOf(issue, [], schema));
}

/** A missing key is not worth a sentence where a mistyped one beside it is clearly meant for it. */
export function withoutMistyped(findings: readonly Finding[]): Finding[] {
  const parent = ({ path }: Finding) => JSON.stringify(path.slice(0, -1));
  const wrongKeys = findings.filter((finding) => finding.at === 'key');
  return findings.filter((finding) => {
    const wanted = finding.path.at(-1);
    if (finding.at !== 'missing' || typeof wanted !== 'string') return true;
    return !wrongKeys.some(
      (wrong) => parent(wrong) === parent(finding) && nearest(String(wrong.path.at(-1)), [wanted]) !== null,
    );
  });
}
