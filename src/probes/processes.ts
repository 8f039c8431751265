/**
 * Whose a GPU process is. `/proc/PID/cgroup` and `/proc/PID/comm` can be read for all accounts; who listens on a port
 * only for one's own. What was found is remembered by process id and start time, so that a sample costs a few reads.
 * Owns that memory; never signals a process.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { ConsumerConfiguration } from '../config/configuration.js';
import type { ConsumerId } from '../core/vocabulary.js';

const LISTENING = '0A';
/** A child of a child of a child: deeper nesting than any service was seen to have. */
const MOST_ANCESTORS = 32;
/** Who belongs to nobody is looked at again: a service may open its port later. */
const LOOKS_AT_STRANGERS = 5;
const MOST_REMEMBERED = 4096;

export class ProcessOwners {
  readonly #proc: string;
  #consumers: readonly ConsumerConfiguration[] = [];
  readonly #known = new Map<string, { readonly consumer: ConsumerId | null; looks: number }>();

  constructor(proc = '/proc') {
    this.#proc = proc;
  }

  configure(consumers: Iterable<ConsumerConfiguration>): void {
    this.#consumers = [...consumers];
    this.#known.clear();
  }

  /** null: nobody of ours, or the process is gone. */
  consumerOf(pid: number): ConsumerId | null {
    const startTime = this.#statOf(pid)?.startTime;
    if (startTime === undefined) return null;
    const key = `${pid}:${startTime}`;
    const known = this.#known.get(key);
    if (known !== undefined && (known.consumer !== null || known.looks < LOOKS_AT_STRANGERS)) {
      known.looks += 1;
      return known.consumer;
    }
    if (this.#known.size > MOST_REMEMBERED) this.#known.clear();
    const consumer = this.#look(pid);
    this.#known.set(key, { consumer, looks: 0 });
    return consumer;
  }

  #look(pid: number): ConsumerId | null {
    const lineage = this.#lineageOf(pid);
    const named = this.#consumers.find((consumer) => lineage.some((one) => this.#matches(one, consumer)));
    if (named !== undefined) return named.id;
    const listener = this.#consumers.find(
      (consumer) => consumer.processes === null && lineage.some((one) => this.#listensOn(one, portOf(consumer))),
    );
    return listener?.id ?? null;
  }

  /** What the configuration says; a consumer's own unit counts also where `processes` says nothing. */
  #matches(pid: number, { processes, unit }: ConsumerConfiguration): boolean {
    if (processes === null) return unit !== null && this.#isInUnit(pid, unit);
    if ('unit' in processes) return this.#isInUnit(pid, processes.unit);
    if ('cgroup' in processes) return processes.cgroup.test(this.#read(pid, 'cgroup'));
    return processes.name.test(this.#read(pid, 'comm').trim()) || processes.name.test(this.#commandOf(pid));
  }

  #isInUnit(pid: number, unit: string): boolean {
    return this.#read(pid, 'cgroup')
      .split('\n')
      .some((line) =>
        line
          .slice(line.lastIndexOf(':') + 1)
          .split('/')
          .includes(unit),
      );
  }

  #commandOf(pid: number): string {
    return this.#read(pid, 'cmdline').split('\0').join(' ').trim();
  }

  /** The process, its parent, and so on; the first process of the machine is nobody's. */
  #lineageOf(pid: number): number[] {
    const lineage: number[] = [];
    for (let current = pid; current > 1 && lineage.length < MOST_ANCESTORS; ) {
      lineage.push(current);
      const parent = this.#statOf(current)?.parent;
      if (parent === undefined) break;
      current = parent;
    }
    return lineage;
  }

  /** Fields 4 and 22 of proc(5) `stat`; the name in field 2 may hold blanks and parentheses. */
  #statOf(pid: number): { readonly parent: number; readonly startTime: string } | null {
    const text = this.#read(pid, 'stat');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const startTime = fields[19];
    return text === '' || startTime === undefined ? null : { parent: Number(fields[1]), startTime };
  }

  #listensOn(pid: number, port: number): boolean {
    const sockets = this.#listeningSockets(port);
    if (sockets.size === 0) return false;
    let handles: string[];
    try {
      handles = readdirSync(join(this.#proc, String(pid), 'fd'));
    } catch {
      // Of another account: who listens cannot be seen. `processes` in the configuration says it then.
      return false;
    }
    return handles.some((handle) => sockets.has(this.#linkOf(pid, handle)));
  }

  #linkOf(pid: number, handle: string): string {
    try {
      return readlinkSync(join(this.#proc, String(pid), 'fd', handle));
    } catch {
      return '';
    }
  }

  #listeningSockets(port: number): Set<string> {
    const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    const found = new Set<string>();
    for (const table of ['net/tcp', 'net/tcp6']) {
      for (const line of this.#readFile(table).split('\n').slice(1)) {
        const fields = line.trim().split(/\s+/);
        if (fields[3] === LISTENING && fields[1]?.endsWith(wanted)) found.add(`socket:[${fields[9]}]`);
      }
    }
    return found;
  }

  #read(pid: number, name: string): string {
    return this.#readFile(join(String(pid), name));
  }

  /** A process may end between two reads: then it is nobody's. */
  #readFile(name: string): string {
    try {
      return readFileSync(join(this.#proc, name), 'utf8');
    } catch {
      return '';
    }
  }
}

function portOf({ url }: ConsumerConfiguration): number {
  const { port } = new URL(url);
  return port === '' ? 80 : Number(port);
}
