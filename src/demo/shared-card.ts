/**
 * A pretend card for tests and benchmarks, which one process holds for all services in it. What a service holds belongs
 * to a process of its own (a shell that waits), so that attribution goes by real process ids; `nvidia-smi` is a shell
 * script on one small file, because it is asked hundreds of times. Owns those processes and that file; no byte is real.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Card, CardFull } from './card.js';

/** What the tool says of the card's figures: numbers, or the words that it puts in their place. */
export type SmiWords = 'numbers' | 'no-utilization' | 'no-memory' | 'no-figures';

export interface SharedTenant extends Card {
  readonly pid: number;
  /** For `processes: { name: … }` in the configuration. */
  readonly pattern: string;
}

const UUID = 'GPU-00000000-0000-4000-8000-000000005a3d';

const SCRIPT = `#!/bin/sh
cd FOLDER || exit 99
. ./state
case "$*" in
  *--query-gpu=*)
    echo . >> asked
    IFS=,
    line=
    for field in \${1#*=}; do
      case $field in
        index) value=0 ;;
        uuid) value=${UUID} ;;
        name) value='pretend card' ;;
        memory.total) value=$total ;;
        memory.used) value=$used ;;
        memory.free) value=$free ;;
        memory.reserved) value=$reserved ;;
        utilization.gpu) value=$utilization ;;
        temperature.gpu) value=43 ;;
        power.draw) value=74.99 ;;
        *) printf 'Field "%s" is not a valid field to query.\\n\\n' "$field"; exit 2 ;;
      esac
      line="$line\${line:+, }$value"
    done
    echo "$line" ;;
  *--query-compute-apps=*) printf '%s' "$apps" ;;
  pmon*) printf '# gpu         pid   type     sm\\n%s' "$use" ;;
esac
`;

interface Held {
  readonly parts: Map<string, number>;
  busy: boolean;
}

export class SharedCard {
  readonly totalMib: number;
  readonly reservedMib: number;
  /** Whoever asked for more than there was. */
  readonly refusals: CardFull[] = [];
  mostUsedMib = 0;
  readonly #folder: string;
  readonly #tenants = new Map<ChildProcess, Held>();
  #words: SmiWords = 'numbers';
  #listsProcesses = true;

  constructor(folder: string, size: { readonly totalMib: number; readonly reservedMib: number }) {
    this.#folder = folder;
    this.totalMib = size.totalMib;
    this.reservedMib = size.reservedMib;
    mkdirSync(folder, { recursive: true });
    const script = join(folder, 'nvidia-smi');
    writeFileSync(
      script,
      SCRIPT.replace('FOLDER', () => `'${folder.replaceAll("'", "'\\''")}'`),
    );
    chmodSync(script, 0o755);
    writeFileSync(join(folder, 'asked'), '');
    this.#save();
  }

  /** An environment in which its `nvidia-smi` comes first. */
  env(base: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
    return { ...base, PATH: `${this.#folder}${delimiter}${base.PATH ?? ''}` };
  }

  get usedMib(): number {
    return [...this.#tenants.values()].reduce((sum, held) => sum + sumOf(held), 0);
  }

  get freeMib(): number {
    return this.totalMib - this.reservedMib - this.usedMib;
  }

  /** How often the tool was asked for the card's figures. */
  get timesAsked(): number {
    return readFileSync(join(this.#folder, 'asked'), 'utf8').length / 2;
  }

  speak(words: SmiWords, options: { readonly listsProcesses?: boolean } = {}): void {
    this.#words = words;
    this.#listsProcesses = options.listsProcesses ?? this.#listsProcesses;
    this.#save();
  }

  /** The tool is not there any more. */
  removeTool(): void {
    rmSync(join(this.#folder, 'nvidia-smi'), { force: true });
  }

  /** Its process ends with this one: it waits for the end of a pipe. */
  open(name: string): SharedTenant {
    const word = `gpu-${name}`;
    const child = spawn('/bin/sh', ['-c', 'read -r nothing', word], { stdio: ['pipe', 'ignore', 'ignore'] });
    const held: Held = { parts: new Map(), busy: false };
    this.#tenants.set(child, held);
    return {
      pid: child.pid ?? 0,
      pattern: `${word}$`,
      hold: async (part, mib) => {
        const askedMib = mib - (held.parts.get(part) ?? 0);
        if (askedMib > this.freeMib) throw this.#refuse(askedMib, sumOf(held));
        held.parts.set(part, mib);
        this.mostUsedMib = Math.max(this.mostUsedMib, this.usedMib);
        this.#save();
      },
      drop: async (part) => {
        if (held.parts.delete(part)) this.#save();
      },
      setBusy: (busy) => {
        if (held.busy === busy) return;
        held.busy = busy;
        this.#save();
      },
      memory: () => ({ totalMib: this.totalMib, freeMib: this.freeMib, heldMib: sumOf(held) }),
      close: async () => {
        if (!this.#tenants.delete(child)) return;
        this.#save();
        const ended = child.exitCode === null ? once(child, 'exit') : null;
        child.stdin.end();
        await ended;
      },
    };
  }

  #refuse(askedMib: number, heldMib: number): CardFull {
    const full = new CardFull({ askedMib, freeMib: this.freeMib, totalMib: this.totalMib, heldMib });
    this.refusals.push(full);
    return full;
  }

  /** As a whole: the script never meets half a file. */
  #save(): void {
    const holders = [...this.#tenants].map(([{ pid }, held]) => ({ pid, mib: sumOf(held), busy: held.busy }));
    const present = holders.filter(({ mib }) => mib > 0);
    const listed = this.#listsProcesses ? present : [];
    const busy = present.some((holder) => holder.busy);
    const { total, used, free, reserved, utilization } = this.#figures(busy);
    const state = {
      total,
      used,
      free,
      reserved,
      utilization,
      apps: listed.map(({ pid, mib }) => `${UUID}, ${pid}, ${mib}, python\n`).join(''),
      use: listed.map(({ pid, busy: works }) => `    0 ${pid}     C     ${works ? 96 : 0}\n`).join(''),
    };
    const text = Object.entries(state).map(([name, value]) => `${name}='${value}'\n`);
    writeFileSync(join(this.#folder, 'state.new'), text.join(''));
    renameSync(join(this.#folder, 'state.new'), join(this.#folder, 'state'));
  }

  #figures(busy: boolean): Readonly<Record<'total' | 'used' | 'free' | 'reserved' | 'utilization', string | number>> {
    const { totalMib: total, usedMib: used, freeMib: free, reservedMib: reserved } = this;
    const numbers = { total, used, free, reserved, utilization: busy ? 96 : 0 };
    const all = (word: string) => ({ total: word, used: word, free: word, reserved: word, utilization: word });
    switch (this.#words) {
      case 'numbers':
        return numbers;
      case 'no-utilization':
        return { ...numbers, utilization: '[N/A]' };
      case 'no-memory':
        return { ...all('[Insufficient Permissions]'), utilization: numbers.utilization };
      case 'no-figures':
        return all('[Not Supported]');
    }
  }
}

const sumOf = (held: Held): number => [...held.parts.values()].reduce((sum, mib) => sum + mib, 0);
