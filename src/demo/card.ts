/**
 * The pretend card: VRAM that demo services hold, each process through its own view of one folder (`card-files.ts`).
 * Owns what this process holds. It never knows what the memory is for, and no byte of it is real.
 */
import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readCardSpec, readTenants, tenantPath, writeTenant } from './card-files.js';

/** The numbers an out-of-memory message is made of. */
export class CardFull extends Error {
  override readonly name = 'CardFull';
  readonly askedMib: number;
  readonly freeMib: number;
  readonly totalMib: number;
  readonly heldMib: number;

  constructor(numbers: { askedMib: number; freeMib: number; totalMib: number; heldMib: number }) {
    super(`CUDA out of memory: ${numbers.askedMib} MiB asked for, ${numbers.freeMib} MiB free`);
    this.askedMib = numbers.askedMib;
    this.freeMib = numbers.freeMib;
    this.totalMib = numbers.totalMib;
    this.heldMib = numbers.heldMib;
  }

  /** PyTorch's sentence (seen with torch 2.x on an H100), sizes in GiB. */
  torchMessage(): string {
    const gib = (mib: number): string => (mib / 1024).toFixed(2);
    return (
      `CUDA out of memory. Tried to allocate ${gib(this.askedMib)} GiB. GPU 0 has a total capacity of ` +
      `${gib(this.totalMib)} GiB of which ${gib(this.freeMib)} GiB is free. Including non-PyTorch memory, this process ` +
      `has ${gib(this.heldMib)} GiB memory in use.`
    );
  }
}

/** One process's view of the card. Parts are named by their holder: `context`, `weights`, a model. */
export interface Card {
  /** Sets what a part holds, in MiB; throws `CardFull` and changes nothing if the card has not that much. */
  hold(part: string, mib: number): Promise<void>;
  drop(part: string): Promise<void>;
  setBusy(busy: boolean): void;
  memory(): { readonly totalMib: number; readonly freeMib: number; readonly heldMib: number };
  close(): Promise<void>;
}

const LOCK_RETRY_MS = 3;
const LOCK_LIMIT_MS = 2_000;

async function created(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    await file.close();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** A lock is held for microseconds: one that is seconds old belongs to a process that was killed with it. */
async function removeStale(path: string): Promise<void> {
  const lock = await stat(path).catch(() => null);
  if (lock !== null && Date.now() - lock.mtimeMs > LOCK_LIMIT_MS) await rm(path, { force: true });
}

/** Only one process at a time looks at the sum and changes its share. */
async function withLock<T>(folder: string, action: () => T): Promise<T> {
  const path = join(folder, 'lock');
  while (!(await created(path))) {
    await removeStale(path);
    await sleep(LOCK_RETRY_MS);
  }
  try {
    return action();
  } finally {
    await rm(path, { force: true });
  }
}

/** Opens the card in a folder for this process, under the name that `nvidia-smi` shows. */
export function openCard(folder: string, name: string): Card {
  const spec = readCardSpec(folder);
  const path = tenantPath(folder, name);
  const parts = new Map<string, number>();
  let busy = false;
  let closed = false;
  const held = (): number => [...parts.values()].reduce((sum, mib) => sum + mib, 0);
  const free = (): number =>
    spec.totalMib - spec.reservedMib - readTenants(folder).reduce((sum, tenant) => sum + tenant.mib, 0);
  const save = (): void => {
    if (!closed) writeTenant(path, { pid: process.pid, name, mib: held(), busy });
  };
  return {
    hold: (part, mib) =>
      withLock(folder, () => {
        const askedMib = mib - (parts.get(part) ?? 0);
        const freeMib = free();
        if (askedMib > freeMib) throw new CardFull({ askedMib, freeMib, totalMib: spec.totalMib, heldMib: held() });
        parts.set(part, mib);
        save();
      }),
    drop: (part) =>
      withLock(folder, () => {
        if (parts.delete(part)) save();
      }),
    setBusy: (nowBusy) => {
      if (nowBusy === busy) return;
      busy = nowBusy;
      save();
    },
    memory: () => ({ totalMib: spec.totalMib, freeMib: free(), heldMib: held() }),
    close: async () => {
      closed = true;
      await rm(path, { force: true });
    },
  };
}

const ENDLESS_MIB = 1024 * 1024;

/** A card of this object alone, larger than anything asks for. */
export function endlessCard(): Card {
  const parts = new Map<string, number>();
  const held = (): number => [...parts.values()].reduce((sum, mib) => sum + mib, 0);
  return {
    hold: async (part, mib) => {
      parts.set(part, mib);
    },
    drop: async (part) => {
      parts.delete(part);
    },
    setBusy: () => {},
    memory: () => ({ totalMib: ENDLESS_MIB, freeMib: ENDLESS_MIB - held(), heldMib: held() }),
    close: async () => {},
  };
}
