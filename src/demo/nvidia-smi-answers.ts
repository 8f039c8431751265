/**
 * What the pretend `nvidia-smi` says: the `--query-gpu` and `--query-compute-apps` questions in CSV, and the real
 * program's words and exit codes for wrong ones (driver 580, H100). Reads the card's folder; owns and changes nothing.
 */
import { type CardSpec, readCardSpec, readTenants, type Tenant } from './card-files.js';

export interface SmiAnswer {
  /** For standard output: the real program puts its errors there, too. */
  readonly output: string;
  readonly exitCode: number;
  /** Asked to repeat; null: once. */
  readonly everyMs: number | null;
}

interface Field {
  readonly unit: string | null;
  readonly value: (card: CardState) => string | number;
}

interface AppField {
  readonly unit: string | null;
  readonly value: (tenant: Tenant, card: CardSpec) => string | number;
}

interface CardState {
  readonly spec: CardSpec;
  readonly usedMib: number;
  readonly busy: boolean;
}

const DRIVER_VERSION = '580.159.04';
const field = (value: Field['value'], unit: string | null = null): Field => ({ value, unit });
const appField = (value: AppField['value'], unit: string | null = null): AppField => ({ value, unit });

/** `2026/11/25 07:08:20.564`, local time. */
function timestamp(): string {
  const now = new Date();
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${now.getFullYear()}/${two(now.getMonth() + 1)}/${two(now.getDate())}`;
  const time = `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
  return `${day} ${time}.${String(now.getMilliseconds()).padStart(3, '0')}`;
}

const GPU_FIELDS: Readonly<Record<string, Field>> = {
  timestamp: field(timestamp),
  count: field(() => 1),
  index: field(({ spec }) => spec.index),
  uuid: field(({ spec }) => spec.uuid),
  gpu_uuid: field(({ spec }) => spec.uuid),
  name: field(({ spec }) => spec.name),
  gpu_name: field(({ spec }) => spec.name),
  'memory.total': field(({ spec }) => spec.totalMib, 'MiB'),
  'memory.used': field(({ usedMib }) => usedMib, 'MiB'),
  'memory.free': field(({ spec, usedMib }) => spec.totalMib - spec.reservedMib - usedMib, 'MiB'),
  'memory.reserved': field(({ spec }) => spec.reservedMib, 'MiB'),
  'utilization.gpu': field(({ busy }) => (busy ? 96 : 0), '%'),
  'temperature.gpu': field(({ busy }) => (busy ? 61 : 43)),
  'power.draw': field(({ busy }) => (busy ? '287.40' : '74.99'), 'W'),
  'fan.speed': field(() => '[N/A]'),
  compute_mode: field(() => 'Default'),
  'mig.mode.current': field(() => 'Disabled'),
  persistence_mode: field(() => 'Enabled'),
  driver_version: field(() => DRIVER_VERSION),
  'pci.bus_id': field(() => '00000000:00:06.0'),
};

const APP_FIELDS: Readonly<Record<string, AppField>> = {
  timestamp: appField(timestamp),
  gpu_uuid: appField((_, card) => card.uuid),
  gpu_name: appField((_, card) => card.name),
  pid: appField((tenant) => tenant.pid),
  process_name: appField((tenant) => tenant.name),
  name: appField((tenant) => tenant.name),
  used_memory: appField((tenant) => tenant.mib, 'MiB'),
  used_gpu_memory: appField((tenant) => tenant.mib, 'MiB'),
};

interface Options {
  readonly queryGpu: string | null;
  readonly queryApps: string | null;
  readonly format: ReadonlySet<string>;
  readonly card: string | null;
  readonly everyMs: number | null;
  readonly list: boolean;
  readonly unknown: string | null;
}

/** `--name=value`, `--name value` and `-x value` alike. */
function parseOptions(args: readonly string[]): Options {
  const options = {
    queryGpu: null,
    queryApps: null,
    format: new Set<string>(),
    card: null,
    everyMs: null,
    list: false,
    unknown: null,
  };
  let parsed: Options = options;
  const rest = args.flatMap((arg) =>
    arg.startsWith('--') && arg.includes('=')
      ? [arg.slice(0, arg.indexOf('=')), arg.slice(arg.indexOf('=') + 1)]
      : [arg],
  );
  while (rest.length > 0) {
    const name = rest.shift() ?? '';
    const value = (): string => rest.shift() ?? '';
    if (name === '--query-gpu') parsed = { ...parsed, queryGpu: value() };
    else if (name === '--query-compute-apps') parsed = { ...parsed, queryApps: value() };
    else if (name === '--format')
      parsed = {
        ...parsed,
        format: new Set(
          value()
            .split(',')
            .map((each) => each.trim()),
        ),
      };
    else if (name === '-i' || name === '--id') parsed = { ...parsed, card: value() };
    else if (name === '-lms' || name === '--loop-ms') parsed = { ...parsed, everyMs: Number(value()) };
    else if (name === '-l' || name === '--loop') parsed = { ...parsed, everyMs: Number(value()) * 1000 };
    else if (name === '-L' || name === '--list-gpus') parsed = { ...parsed, list: true };
    else return { ...parsed, unknown: name };
  }
  return parsed;
}

interface Column {
  readonly name: string;
  readonly unit: string | null;
}

function table<F extends { readonly unit: string | null }>(
  known: Readonly<Record<string, F>>,
  query: string,
  format: ReadonlySet<string>,
  rows: (fields: readonly F[]) => (string | number)[][],
): { readonly output: string; readonly exitCode: number } {
  const names = query.split(',').map((name) => name.trim());
  const fields: F[] = [];
  for (const name of names) {
    const found = Object.hasOwn(known, name) ? known[name] : undefined;
    if (found === undefined) return { output: `Field "${name}" is not a valid field to query.\n\n`, exitCode: 2 };
    fields.push(found);
  }
  const bare = format.has('nounits');
  const columns: Column[] = fields.map(({ unit }, index) => ({ name: names[index] ?? '', unit }));
  const header = columns.map(({ name, unit }) => (unit === null ? name : `${name} [${unit}]`)).join(', ');
  const lines = rows(fields).map((row) =>
    row
      .map((value, index) => (bare || fields[index]?.unit === null ? `${value}` : `${value} ${fields[index]?.unit}`))
      .join(', '),
  );
  const all = format.has('noheader') ? lines : [header, ...lines];
  return { output: all.map((line) => `${line}\n`).join(''), exitCode: 0 };
}

export function answerSmi(args: readonly string[], folder: string): SmiAnswer {
  const options = parseOptions(args);
  const once = (output: string, exitCode: number): SmiAnswer => ({ output, exitCode, everyMs: null });
  if (options.unknown !== null) return once(`Invalid combination of input arguments: ${options.unknown}\n`, 2);
  const spec = readCardSpec(folder);
  if (options.card !== null && options.card !== String(spec.index) && options.card !== spec.uuid) {
    return once('No devices were found\n', 6);
  }
  if (options.list) return once(`GPU ${spec.index}: ${spec.name} (UUID: ${spec.uuid})\n`, 0);
  const tenants = readTenants(folder);
  const usedMib = tenants.reduce((sum, tenant) => sum + tenant.mib, 0);
  if (options.queryGpu !== null) {
    const state: CardState = { spec, usedMib, busy: tenants.some((tenant) => tenant.busy) };
    const rows = (fields: readonly Field[]): (string | number)[][] => [fields.map(({ value }) => value(state))];
    return { ...table(GPU_FIELDS, options.queryGpu, options.format, rows), everyMs: options.everyMs };
  }
  if (options.queryApps !== null) {
    const rows = (fields: readonly AppField[]): (string | number)[][] =>
      tenants.map((tenant) => fields.map(({ value }) => value(tenant, spec)));
    return { ...table(APP_FIELDS, options.queryApps, options.format, rows), everyMs: options.everyMs };
  }
  const held = tenants.map((tenant) => `  ${tenant.pid}  ${tenant.name}  ${tenant.mib} MiB\n`).join('');
  const head = `The demo's pretend card ${spec.index}: ${spec.name}, ${usedMib} of ${spec.totalMib} MiB in use\n`;
  return once(`${head}${held}Answers --query-gpu and --query-compute-apps with --format=csv.\n`, 0);
}
