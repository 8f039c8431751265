/**
 * The configuration file as YAML: its data, and where in the text each key and value stands. Finds what is wrong with
 * the text itself (syntax, doubled keys, unset variables). Owns the parsed document; knows nothing of what keys mean.
 */
import { type Alias, type Document, isScalar, LineCounter, parseDocument, visit, type YAMLMap } from 'yaml';
import { expandVariables } from './environment.js';
import { keyText, walk } from './locate.js';
import { SYNTAX } from './syntax.js';

/** Keys and list indexes from the top of the file. */
export type Path = readonly (string | number)[];

export interface Place {
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

/** Something wrong, before its place was looked up. `missing`: shown at the nearest parent that exists. */
export interface Finding {
  readonly path: Path;
  readonly at: 'value' | 'key' | 'missing';
  readonly message: string;
}

export interface PlacedFinding extends Finding {
  readonly place: Place;
}

export interface SourceDocument {
  /** What the file says, variables filled in, aliases and merges resolved. */
  readonly data: unknown;
  /** What is wrong with the text; with `unreadable`, nothing else can be looked at. */
  readonly findings: readonly PlacedFinding[];
  readonly unreadable: boolean;
  place(finding: Finding): Place;
  /** Where the value at this path stands, and which variables it was made from; null: not in the file. */
  origin(path: Path): { readonly place: Place; readonly variables: readonly string[] } | null;
}

/** Aliases may multiply the data by at most this much: a small file cannot be made to fill the memory. */
const MAX_ALIAS_COUNT = 100;

/** The keys that lead to a node, from its ancestors; list indexes are left out. */
function keysOf(ancestors: readonly unknown[]): string[] {
  return ancestors.flatMap((node) => {
    const pair = typeof node === 'object' && node !== null && 'key' in node && isScalar(node.key) ? node.key : null;
    return pair === null ? [] : [String(pair.value)];
  });
}

type Report = (offset: number, path: Path, message: string) => void;

/** Doubled keys are looked for here and not by the library, so that they do not hide what else is wrong. */
function reportDoubledKeys(map: YAMLMap, parents: Path, lines: LineCounter, report: Report): void {
  const first = new Map<string, number>();
  for (const pair of map.items) {
    const key = keyText(pair);
    const offset = isScalar(pair.key) ? pair.key.range?.[0] : undefined;
    if (key === null || offset === undefined) continue;
    const before = first.get(key);
    if (before === undefined) first.set(key, offset);
    else
      report(offset, [...parents, key], `given twice, first in line ${lines.linePos(before).line}; keep one of them`);
  }
}

function reportAlias(alias: Alias, document: Document, parents: Path, report: Report): void {
  if (alias.resolve(document) !== undefined) return;
  report(alias.range?.[0] ?? 0, parents, 'an alias whose anchor does not stand before it; define it with &NAME first');
}

/** Never throws; everything wrong with the text is in `findings`. */
export function readDocument(text: string, env: NodeJS.ProcessEnv): SourceDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    merge: true,
    uniqueKeys: false,
    stringKeys: true,
    prettyErrors: false,
  });
  const findings: PlacedFinding[] = [];
  const placeOf = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    // An empty text has no first line for the counter.
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const report: Report = (offset, path, message) =>
    findings.push({ path, at: 'value', message, place: placeOf(offset) });

  for (const fault of [...document.errors, ...document.warnings]) report(fault.pos[0], [], SYNTAX[fault.code]);
  const variables = new Map<unknown, readonly string[]>();
  if (findings.length === 0) {
    visit(document, {
      Map: (_, map, ancestors) => reportDoubledKeys(map, keysOf(ancestors), lines, report),
      Alias: (_, alias, ancestors) => reportAlias(alias, document, keysOf(ancestors), report),
      Scalar: (position, scalar, ancestors) => {
        if (position === 'key') return;
        const path = keysOf(ancestors);
        const expansion = expandVariables(scalar, path, env);
        if (expansion === null) return;
        variables.set(scalar, expansion.variables);
        for (const wrong of expansion.wrong) report(scalar.range?.[0] ?? 0, path, wrong);
      },
    });
  }
  const data = plainData(document, findings, report);

  const place = ({ path, at }: Finding): Place => {
    const { key, value } = walk(document, path);
    const node = at === 'value' ? (value ?? key) : key;
    return placeOf((node ?? document.contents)?.range?.[0] ?? 0);
  };
  return {
    data: data.value,
    findings,
    unreadable: data.unreadable,
    place,
    origin: (path) => {
      const { value } = walk(document, path);
      if (value === null) return null;
      const used: string[] = [];
      visit(value, (_, node) => void used.push(...(variables.get(node) ?? [])));
      return { place: place({ path, at: 'value', message: '' }), variables: [...new Set(used)] };
    },
  };
}

function plainData(document: Document, findings: readonly Finding[], report: Report) {
  const syntaxIsBroken = document.errors.length > 0 || document.warnings.length > 0;
  if (syntaxIsBroken) return { value: undefined, unreadable: true };
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIAS_COUNT });
    return { value, unreadable: false };
  } catch (error) {
    // The library throws ReferenceError for aliases only: without anchor (reported above), or too many.
    if (!(error instanceof ReferenceError)) throw error;
    if (findings.length === 0) report(0, [], 'aliases multiply this file beyond all measure; write the values out');
    return { value: undefined, unreadable: true };
  }
}
