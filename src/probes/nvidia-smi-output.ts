/**
 * What `nvidia-smi --query-gpu` is asked, and how its answer is read. The tool puts words where a number is unknown,
 * errors on standard output, and sometimes units, headers and warnings between (seen with driver 580; others from
 * public reports). Whatever is not clearly a number that can be true is unknown: null, never 0. Pure.
 */
import type { CardReading } from '../core/vocabulary.js';

interface Field {
  readonly name: string;
  /** Of old drivers or partitioned cards that refuse the whole question because of it. */
  readonly optional: boolean;
}

const field = (name: string, optional = true): Field => ({ name, optional });

/** The name comes last: it is the only text in which a comma could stand. */
const FIELDS: readonly Field[] = [
  field('index', false),
  field('uuid', false),
  field('memory.total', false),
  field('memory.used', false),
  field('memory.free', false),
  field('memory.reserved'),
  field('utilization.gpu'),
  field('temperature.gpu'),
  field('power.draw'),
  field('name', false),
];

/** The fields to ask for, in order. `refused`: those that this driver does not know. */
export function fieldsToAsk(refused: ReadonlySet<string>): readonly string[] {
  return FIELDS.filter(({ name }) => !refused.has(name)).map(({ name }) => name);
}

export const argumentsFor = (fields: readonly string[]): string[] => [
  `--query-gpu=${fields.join(',')}`,
  '--format=csv,noheader,nounits',
];

/** The field that the tool does not know and that can be left out; null: it complains of something else. */
export function refusedField(output: string): string | null {
  const [, name] = /Field "([^"]*)" is not a valid field to query/i.exec(output) ?? [];
  return FIELDS.find((one) => one.optional && one.name === name)?.name ?? null;
}

export interface ParsedOutput {
  readonly cards: readonly CardReading[];
  /** What is wrong with the figures, one sentence a finding; without figures in it, so that it stays the same. */
  readonly complaints: readonly string[];
  /** Lines that are no card's, as they came. */
  readonly otherLines: readonly string[];
}

/** More cards than any machine has; more rows are a broken tool's. */
const MOST_CARDS = 64;

export function parseOutput(text: string, fields: readonly string[]): ParsedOutput {
  const cards: CardReading[] = [];
  const complaints: string[] = [];
  const otherLines: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '' || isHeader(line)) continue;
    const row = rowOf(line, fields);
    if (row === null || cards.length === MOST_CARDS) otherLines.push(line.trim());
    else cards.push(readCard(row, cards.length, complaints));
  }
  return { cards, complaints, otherLines };
}

type Row = ReadonlyMap<string, string>;

const isHeader = (line: string): boolean => /^\s*index\s*,/i.test(line);

/** null: not a line of the table that was asked for. */
function rowOf(line: string, fields: readonly string[]): Row | null {
  const columns = line.split(',').map((column) => column.trim());
  const index = columns[0] ?? '';
  if (columns.length < fields.length || !(/^\d+$/.test(index) || isWord(index))) return null;
  const last = fields.length - 1;
  const cells = [...columns.slice(0, last), columns.slice(last).join(', ')];
  return new Map(fields.map((name, at) => [name, cells[at] ?? '']));
}

/** `[N/A]`, `[Not Supported]`, `[Unknown Error]`, `N/A`, nothing at all. */
const isWord = (cell: string): boolean => cell === '' || /^(\[.*\]|n\/a|unknown.*|not .*|err!?|-)$/i.test(cell);

function readCard(row: Row, position: number, complaints: string[]): CardReading {
  const index = numberIn(row.get('index'), '') ?? position;
  const complain = (text: string) => complaints.push(`card ${index}: ${text}`);
  const figure = (name: string, unit: string, isPossible: (value: number) => boolean): number | null => {
    const value = numberIn(row.get(name), unit);
    if (value === null || isPossible(value)) return value;
    complain(`${name} has a value that cannot be`);
    return null;
  };
  const memory = readMemory(
    {
      totalMib: figure('memory.total', 'MiB', (value) => value > 0),
      usedMib: figure('memory.used', 'MiB', isNotNegative),
      freeMib: figure('memory.free', 'MiB', isNotNegative),
    },
    complain,
  );
  if (memory.totalMib === null && memory.usedMib === null && memory.freeMib === null) {
    const said = row.get('memory.used') ?? '';
    complain(`its memory is not told; nvidia-smi says ${isWord(said) && said !== '' ? said : 'nothing usable'}`);
  }
  return {
    index,
    uuid: textIn(row.get('uuid')),
    name: textIn(row.get('name')),
    ...memory,
    driverReservedMib: figure('memory.reserved', 'MiB', isNotNegative),
    utilizationPct: figure('utilization.gpu', '%', (value) => value >= 0 && value <= 100),
    temperatureC: figure('temperature.gpu', 'C', (value) => value > -100 && value < 300),
    powerW: figure('power.draw', 'W', isNotNegative),
  };
}

const isNotNegative = (value: number): boolean => value >= 0;

type Memory = Pick<CardReading, 'totalMib' | 'usedMib' | 'freeMib'>;

/** Used, free and total are rounded each for itself. */
const ROUNDING_MIB = 4;

/** Figures that contradict one another are unknown: headroom that is not there would be promised to somebody. */
function readMemory(memory: Memory, complain: (text: string) => void): Memory {
  const { totalMib, usedMib, freeMib } = memory;
  if (totalMib === null) return memory;
  const mostMib = totalMib + ROUNDING_MIB;
  if ((freeMib ?? 0) > mostMib || (usedMib ?? 0) > mostMib) {
    complain('memory.used or memory.free is larger than memory.total');
    return { totalMib, usedMib: null, freeMib: null };
  }
  if (usedMib !== null && freeMib !== null && usedMib + freeMib > mostMib) {
    complain('memory.used and memory.free are more than memory.total');
    return { totalMib, usedMib: null, freeMib: null };
  }
  return memory;
}

/** A plain decimal, with its unit or without; anything else is unknown. */
function numberIn(cell: string | undefined, unit: string): number | null {
  const [, digits, suffix = ''] = /^(-?\d{1,15}(?:\.\d{1,9})?)\s*(\S*)$/.exec(cell ?? '') ?? [];
  if (digits === undefined || (suffix !== '' && suffix !== unit)) return null;
  return Number(digits);
}

const textIn = (cell: string | undefined): string | null => (cell === undefined || isWord(cell) ? null : cell);
