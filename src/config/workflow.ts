/**
 * A workflow of ComfyUI in its API format with places to fill in, as text: so that its seeds keep their digits. Says
 * what is wrong with one, and where. Pure.
 */
import { type Document, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { Place } from './document.js';
import { nearest } from './nearest.js';

export const PLACEHOLDERS = ['prompt', 'negative_prompt', 'width', 'height', 'n', 'seed'] as const;
export type Placeholder = (typeof PLACEHOLDERS)[number];

/** A text of the workflow in which something is filled in. */
export interface WorkflowSlot {
  /** In characters of the text, quotes included; `end` is the first one behind it. */
  readonly start: number;
  readonly end: number;
  /** Unquoted. */
  readonly template: string;
}

export interface Workflow {
  /** JSON. */
  readonly text: string;
  /** In order. */
  readonly slots: readonly WorkflowSlot[];
  readonly placeholders: readonly Placeholder[];
  /** Where a client names none. */
  readonly size: { readonly width: number; readonly height: number };
}

export interface WorkflowFault {
  readonly place: Place;
  /** Node and input, as far as it is in one. */
  readonly path: readonly string[];
  readonly message: string;
}

export type WorkflowReading =
  | { readonly good: true; readonly slots: readonly WorkflowSlot[]; readonly placeholders: readonly Placeholder[] }
  | { readonly good: false; readonly faults: readonly WorkflowFault[] };

const EXPORT = 'export it with Workflow > Export (API) from the page of ComfyUI';
const FIRST: Place = { line: 1, column: 1 };
/** Any of them in a text; alone in it, it takes the type of its value. */
const MARK = /%([a-z_]+)%/g;

const isPlaceholder = (word: string): word is Placeholder => PLACEHOLDERS.some((known) => known === word);

export function readWorkflow(text: string): WorkflowReading {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const placeOf = (offset: number | undefined): Place => {
    const { line, col } = lines.linePos(offset ?? 0);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  if (!isJson(text)) {
    const place = placeOf(document.errors[0]?.pos[0]);
    return { good: false, faults: [{ place, path: [], message: `not valid JSON; ${EXPORT}` }] };
  }
  const faults: WorkflowFault[] = [];
  const report = (offset: number | undefined, path: readonly string[], message: string) =>
    void faults.push({ place: placeOf(offset), path, message });
  checkNodes(document, report);
  const slots = slotsOf(document, report);
  const placeholders = PLACEHOLDERS.filter((name) => slots.some(({ template }) => template.includes(`%${name}%`)));
  if (faults.length === 0 && !placeholders.includes('prompt')) {
    faults.push({ place: FIRST, path: [], message: 'no %prompt% in it; write it where the text of the picture goes' });
  }
  return faults.length > 0 ? { good: false, faults } : { good: true, slots, placeholders };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

type Report = (offset: number | undefined, path: readonly string[], message: string) => void;

function checkNodes({ contents }: Document, report: Report): void {
  if (!isMap(contents) || contents.items.length === 0) {
    report(0, [], `not a workflow: it must be a map of nodes; ${EXPORT}`);
    return;
  }
  if (isSeq(contents.get('nodes')) && contents.has('links')) {
    report(0, [], `the page's own format, which cannot be sent; ${EXPORT}`);
    return;
  }
  const ids = new Set(contents.items.map(({ key }) => String(key)));
  for (const { key, value } of contents.items) {
    const id = String(key);
    const at = isScalar(key) ? key.range?.[0] : undefined;
    if (!isMap(value) || typeof value.get('class_type') !== 'string') {
      report(at, [id], `not a node: its class_type is missing; ${EXPORT}`);
      continue;
    }
    const inputs = value.get('inputs');
    if (!isMap(inputs)) report(at, [id], `not a node: its inputs are missing; ${EXPORT}`);
    else for (const input of inputs.items) checkLink(input, id, ids, report);
  }
}

/** `[node, number of its output]` */
function checkLink(
  input: { key: unknown; value: unknown },
  id: string,
  ids: ReadonlySet<string>,
  report: Report,
): void {
  const { value } = input;
  if (!isSeq(value) || value.items.length !== 2 || typeof value.get(1) !== 'number') return;
  const from = value.get(0);
  if (typeof from !== 'string' || ids.has(from)) return;
  const message = `leads to node ${from}, which is not here; export the whole workflow`;
  report(value.range?.[0], [id, 'inputs', String(input.key)], message);
}

function slotsOf(document: Document, report: Report): WorkflowSlot[] {
  const slots: WorkflowSlot[] = [];
  visit(document, {
    Scalar(position, { value, range }) {
      if (position === 'key' || typeof value !== 'string' || range == null) return;
      const words = [...value.matchAll(MARK)].map(([, word = '']) => word);
      if (words.some(isPlaceholder)) slots.push({ start: range[0], end: range[1], template: value });
      const [only = ''] = words;
      // Inside a longer text it may be anything; alone it was meant.
      if (value !== `%${only}%` || isPlaceholder(only)) return;
      const close = nearest(only, PLACEHOLDERS);
      const right = close === null ? `known here: ${PLACEHOLDERS.join(', ')}` : `did you mean %${close}%?`;
      report(range[0], [], `an unknown placeholder; ${right}`);
    },
  });
  return slots;
}

/** The text with everything filled in. A placeholder alone in its text becomes the value, a number stays one. */
export function filledIn(workflow: Workflow, values: Readonly<Record<Placeholder, string | number>>): string {
  let filled = '';
  let from = 0;
  for (const { start, end, template } of workflow.slots) {
    const only = /^%([a-z_]+)%$/.exec(template)?.[1] ?? '';
    const value = isPlaceholder(only)
      ? values[only]
      : template.replace(MARK, (mark, word: string) => (isPlaceholder(word) ? String(values[word]) : mark));
    filled += workflow.text.slice(from, start) + JSON.stringify(value);
    from = end;
  }
  return filled + workflow.text.slice(from);
}
