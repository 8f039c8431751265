/**
 * What must outlive the daemon, in one file `memory.json` of the state folder: parked consumers, operators' pins,
 * learned sizes. Replaced as a whole (written beside, synced, renamed), so that a kill at any moment leaves the old one
 * or the new one. A file that cannot be read is put aside, said in the log, and never stops the daemon.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type BrokerMemory, NO_MEMORY } from '../core/memory.js';
import { consumerId } from '../core/vocabulary.js';
import type { Log, MemoryPort } from './ports.js';

const learnedMib = z.object({ mib: z.number(), recent: z.array(z.number()).max(5), below: z.number() });
const memorySchema = z.object({
  version: z.literal(1),
  parked: z.array(z.string().transform(consumerId)),
  pinned: z.array(z.string()),
  targets: z.record(
    z.string(),
    z.object({
      resident: learnedMib.nullable(),
      run: learnedMib.nullable(),
      loadMs: z.number().nullable(),
      unloadMs: z.number().nullable(),
    }),
  ),
  residues: z.record(z.string(), learnedMib),
});

export class MemoryFile implements MemoryPort {
  readonly #folder: string;
  readonly #file: string;
  readonly #log: Log;
  #written = '';

  constructor(stateDir: string, log: Log) {
    this.#folder = stateDir;
    this.#file = join(stateDir, 'memory.json');
    this.#log = log;
  }

  load(): BrokerMemory {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if (isMissing(error)) return NO_MEMORY;
      this.#log.error({ err: error, file: this.#file }, 'what was learned cannot be read; starting without it');
      return NO_MEMORY;
    }
    return this.#parse(text);
  }

  #parse(text: string): BrokerMemory {
    try {
      return memorySchema.parse(JSON.parse(text));
    } catch (error) {
      const aside = `${this.#file}.unreadable`;
      renameSync(this.#file, aside);
      this.#log.error({ err: error, file: aside }, 'what was learned is not readable; put aside, starting without it');
      return NO_MEMORY;
    }
  }

  save(memory: BrokerMemory): void {
    const text = `${JSON.stringify({ version: 1, ...memory }, null, 1)}\n`;
    if (text === this.#written) return;
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      const beside = `${this.#file}.new`;
      const handle = openSync(beside, 'w', 0o600);
      writeSync(handle, text);
      fsyncSync(handle);
      closeSync(handle);
      renameSync(beside, this.#file);
      this.#written = text;
    } catch (error) {
      this.#log.error(
        { err: error, file: this.#file },
        'what was learned could not be written; free some space or mend the rights of state_dir',
      );
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
