/**
 * The way from a file to a `Configuration`, or to everything that is wrong with it at once. Reads the file, the
 * workflows that it names and the environment it is given, nothing else; keeps nothing; never throws for what a person wrote.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { buildConfiguration } from './build.js';
import type { ConfigProblem, Configuration } from './configuration.js';
import { type Path, type PlacedFinding, readDocument, type SourceDocument } from './document.js';
import { type EffectiveValue, explain, keyPathOf } from './explain.js';
import { defaultStateFolder, expandHome } from './find.js';
import { schemaFindings, withoutMistyped } from './issues.js';
import { kindLayers, layered } from './layers.js';
import { type Kinds, referenceFindings } from './references.js';
import { fileSchema } from './schema.js';
import { warningsOf } from './warnings.js';
import { readWorkflows } from './workflow-files.js';

export interface LoadOptions {
  readonly env: NodeJS.ProcessEnv;
  /** The defaults of every kind, from the registry of adapters. */
  readonly kinds: Kinds;
}

export interface Loaded {
  readonly good: true;
  readonly configuration: Configuration;
  /** Keys without effect. */
  readonly warnings: readonly ConfigProblem[];
  /** Every effective value and where it came from; secrets replaced. */
  readonly origins: readonly EffectiveValue[];
  /** Of the text: tells `watchFile` what was loaded. */
  readonly digest: string;
}

export interface Refused {
  readonly good: false;
  /** At least one; in the order of the text. */
  readonly problems: readonly ConfigProblem[];
}

export type LoadResult = Loaded | Refused;

/** A configuration is written by hand; whatever is larger is another file. */
const LARGEST_FILE_BYTES = 1024 * 1024;

export const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const atTheTop = (file: string, message: string): Refused => ({
  good: false,
  problems: [{ file, line: 1, column: 1, keyPath: '', message }],
});

const WHY_UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; create it, or name another with --config',
  EACCES: 'may not be read; give this user the right to read it',
  EISDIR: 'is a folder; name the file in it',
};

/** Reads and checks a file. Its path in the result is absolute. */
export async function loadConfiguration(file: string, options: LoadOptions): Promise<LoadResult> {
  const path = resolve(file);
  let bytes: Uint8Array;
  try {
    const { size } = await stat(path);
    if (size > LARGEST_FILE_BYTES)
      return atTheTop(path, 'larger than 1 MiB; this is no configuration, name another file');
    bytes = await readFile(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    return atTheTop(path, WHY_UNREADABLE[code] ?? `cannot be read (${code}); name another file with --config`);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return atTheTop(path, 'is not UTF-8 text; save it as UTF-8');
  }
  return check(text, path, path, digestOf(bytes), options);
}

/** Checks a text that is in no file: what `discover` found, or a test. `name` stands for the file in problems. */
export function parseConfiguration(text: string, options: LoadOptions & { readonly name?: string }): LoadResult {
  return check(text, null, options.name ?? '(no file)', digestOf(Buffer.from(text)), options);
}

function check(text: string, file: string | null, name: string, digest: string, options: LoadOptions): LoadResult {
  const { env, kinds } = options;
  const document = readDocument(text, env);
  const problems = allFindings(document, kinds).map((finding) => problemOf(finding, name));
  if (problems.length > 0) return { good: false, problems };

  const layers = kindLayers(document.data, kinds);
  const effective = layered(document.data, layers, defaultStateFolder(env));
  // Cannot fail for what a person wrote, that was checked; it fails if the defaults of a kind are broken.
  const checked = fileSchema.parse(effective);
  const problemAt = (path: Path, message: string) =>
    problemOf({ path, at: 'value', message, place: document.place({ path, at: 'value', message }) }, name);
  const { workflows, problems: inWorkflows } = readWorkflows({ checked, file, env, problemAt });
  if (inWorkflows.length > 0) return { good: false, problems: inWorkflows };
  const configuration = buildConfiguration(checked, file, expandHome(checked.state_dir ?? '', env), workflows);
  const found = placed(warningsOf(document.data, configuration), document);
  const warnings = inOrder(found).map((finding) => problemOf(finding, name));
  return { good: true, configuration, warnings, origins: explain(document, effective, layers), digest };
}

function allFindings(document: SourceDocument, kinds: Kinds): PlacedFinding[] {
  if (document.unreadable) return inOrder(document.findings);
  if (document.data === null || document.data === undefined) {
    const message = 'the file is empty; the least is "consumers: { ollama: { kind: ollama } }"';
    return [{ path: [], at: 'value', message, place: { line: 1, column: 1 } }];
  }
  const findings = withoutMistyped([...schemaFindings(document.data), ...referenceFindings(document.data, kinds)]);
  return inOrder([...document.findings, ...placed(findings, document)]);
}

const placed = (findings: ReturnType<typeof withoutMistyped>, document: SourceDocument): PlacedFinding[] =>
  findings.map((finding) => ({ ...finding, place: document.place(finding) }));

/**
 * In the order of the text, one sentence a place: the first one said, since later checks only see the consequences,
 * and a fault in an anchor comes back at each of its aliases. Several missing keys of one parent share its place.
 */
function inOrder(findings: readonly PlacedFinding[]): PlacedFinding[] {
  const byPlace = new Map<string, PlacedFinding>();
  for (const finding of findings) {
    const { line, column } = finding.place;
    const share = finding.at === 'missing' ? String(finding.path.at(-1)) : '';
    const key = `${line}:${column}:${share}`;
    if (!byPlace.has(key)) byPlace.set(key, finding);
  }
  return [...byPlace.values()].sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
}

const problemOf = ({ place, path, message }: PlacedFinding, file: string): ConfigProblem => ({
  file,
  ...place,
  keyPath: keyPathOf(path),
  message,
});
