/**
 * The pretend card's files, in one folder: `card.json` (what the card is) and one small file a process (pid, name, MiB,
 * busy). A file whose process is gone counts for nothing, as on a real card. Owns their form; who holds what is decided
 * in `card.ts`.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CardSpec {
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  readonly totalMib: number;
  /** What the driver keeps for itself. */
  readonly reservedMib: number;
}

/** A process on the card. */
export interface Tenant {
  readonly pid: number;
  readonly name: string;
  readonly mib: number;
  readonly busy: boolean;
}

const TENANT_SUFFIX = '.tenant.json';

/** Lays the card into an existing folder. */
export function createCard(folder: string, spec: CardSpec): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'card.json'), JSON.stringify(spec));
}

/**
 * The fields of a file of ours; throws on anything else. Written by hand and not with zod: the pretend `nvidia-smi`
 * starts every two seconds, and loading zod would be most of its work.
 */
function readFields(path: string): {
  number(name: string): number;
  text(name: string): string;
  flag(name: string): boolean;
} {
  const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (typeof value !== 'object' || value === null) throw new Error(`${path}: not an object`);
  const fields = new Map<string, unknown>(Object.entries(value));
  const wrong = (name: string): Error => new Error(`${path}: ${name} is ${String(fields.get(name))}`);
  return {
    number: (name) => {
      const field = fields.get(name);
      if (typeof field !== 'number') throw wrong(name);
      return field;
    },
    text: (name) => {
      const field = fields.get(name);
      if (typeof field !== 'string') throw wrong(name);
      return field;
    },
    flag: (name) => fields.get(name) === true,
  };
}

export function readCardSpec(folder: string): CardSpec {
  const { number, text } = readFields(join(folder, 'card.json'));
  return {
    index: number('index'),
    uuid: text('uuid'),
    name: text('name'),
    totalMib: number('totalMib'),
    reservedMib: number('reservedMib'),
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, under another account.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function readTenant(path: string): Tenant | null {
  try {
    const { number, text, flag } = readFields(path);
    return { pid: number('pid'), name: text('name'), mib: number('mib'), busy: flag('busy') };
  } catch (error) {
    // Its process closed between the listing and the reading.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** Who holds memory now, ordered by pid; processes that are gone or hold nothing are left out. */
export function readTenants(folder: string): Tenant[] {
  const tenants: Tenant[] = [];
  for (const file of readdirSync(folder)) {
    if (!file.endsWith(TENANT_SUFFIX)) continue;
    const tenant = readTenant(join(folder, file));
    if (tenant !== null && tenant.mib > 0 && isAlive(tenant.pid)) tenants.push(tenant);
  }
  return tenants.sort((a, b) => a.pid - b.pid);
}

export const tenantPath = (folder: string, name: string): string =>
  join(folder, `${process.pid}-${name.replaceAll(/[^\w.-]/g, '_')}${TENANT_SUFFIX}`);

/** As a whole or not at all: a reader never meets half a file. */
export function writeTenant(path: string, tenant: Tenant): void {
  writeFileSync(`${path}.new`, JSON.stringify(tenant));
  renameSync(`${path}.new`, path);
}
