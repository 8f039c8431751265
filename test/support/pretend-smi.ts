/**
 * A pretend `nvidia-smi` in a folder of its own, to be put first in `PATH`: behaves as the file `mode` says at each
 * call, notes every call, and counts from outside how many of it are alive.
 */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';

export type SmiMode =
  /** Says `answer` and ends with `code`. */
  | 'answers'
  /** Waits until it is let go, then says the answer that was there when it was called. */
  | 'slow'
  /** Ignores TERM, never ends, and has a child that holds its output too. */
  | 'stuck'
  /** Answers and ends, but a child goes on holding its output. */
  | 'holder'
  /** Never ends; a child that left its process group outlives every kill, as a process in the kernel would. */
  | 'unkillable'
  /** Prints without end. */
  | 'flood'
  /** Whatever is asked first shows a process with 9,120 MiB; whatever comes after it shows it gone. */
  | 'leaving'
  /** Does not know the field `memory.reserved`, as old drivers. */
  | 'old-driver';

const SCRIPT = `#!/bin/sh
cd 'FOLDER' || exit 99
if [ "$(cat mode)" = leaving ]; then
  used=9120
  [ -e asked ] && used=0
  echo "$*" >> asked
  case "$*" in
    *query-compute-apps*) [ $used = 0 ] || echo "GPU-3cd4, 454, $used, python" ;;
    *) echo "0, GPU-3cd4, 81559, $used, $((81079 - used)), 480, 31, 54, 210.50, NVIDIA H100 80GB HBM3" ;;
  esac
  exit 0
fi
# The list of processes is asked for as well; what misbehaves is the question for the cards.
case "$*" in *query-compute-apps*) exit 0 ;; esac
alive=0
for pid in $(cat pids 2>/dev/null); do kill -0 "$pid" 2>/dev/null && alive=$((alive + 1)); done
echo $((alive + 1)) >> alive
echo $$ >> pids
number=$(grep -n "^$$$" pids | cut -d: -f1)
echo "$*" >> asked
answer=$(cat answer)
case "$(cat mode)" in
  answers) printf '%s\\n' "$answer"; exit "$(cat code)" ;;
  slow) until [ -e go ] || [ -e "go-$number" ]; do sleep 0.02; done; printf '%s\\n' "$answer" ;;
  stuck) trap '' TERM; sleep 3600 & echo $! >> children; sleep 3600 ;;
  holder) sleep 3600 & echo $! >> children; printf '%s\\n' "$answer" ;;
  unkillable) setsid sleep 3600 & echo $! >> children; sleep 3600 ;;
  flood) while :; do echo "$answer $answer $answer $answer"; done ;;
  old-driver)
    case "$*" in
      *memory.reserved*) printf 'Field "memory.reserved" is not a valid field to query.\\n\\n'; exit 2 ;;
    esac
    printf '%s\\n' "$answer" ;;
esac
`;

/** As driver 580 says it for the fields that the probe asks for. */
export const GOOD_ANSWER = '0, GPU-3cd4, 81559, 9120, 71959, 480, 31, 54, 210.50, NVIDIA H100 80GB HBM3';

export class PretendSmi {
  readonly folder: string;
  readonly #stops: (() => void)[] = [];

  constructor(folder: string) {
    this.folder = folder;
    const script = join(folder, 'nvidia-smi');
    writeFileSync(script, SCRIPT.replace('FOLDER', folder));
    chmodSync(script, 0o755);
    this.set('answers');
    this.answer(GOOD_ANSWER);
  }

  get env(): NodeJS.ProcessEnv {
    return { ...process.env, PATH: `${this.folder}${delimiter}${process.env.PATH ?? ''}` };
  }

  set(mode: SmiMode): void {
    this.#write('mode', mode);
  }

  answer(text: string, exitCode = 0): void {
    this.#write('answer', text);
    this.#write('code', String(exitCode));
  }

  /** Lets slow calls answer: all, or only the one with this number, counted from 1. */
  go(number?: number): void {
    this.#write(number === undefined ? 'go' : `go-${number}`, '');
  }

  /** Whoever calls the tool stops before its folder is removed. */
  beforeRemoval(stop: () => void): void {
    this.#stops.push(stop);
  }

  /** The arguments of every call so far. */
  get asked(): string[] {
    return this.#lines('asked');
  }

  get pids(): number[] {
    return this.#lines('pids').map(Number);
  }

  get children(): number[] {
    return this.#lines('children').map(Number);
  }

  /** How many were alive at most when a call began, itself counted. */
  get mostAlive(): number {
    return Math.max(0, ...this.#lines('alive').map(Number));
  }

  /** Leaves nothing behind. */
  async remove(): Promise<void> {
    for (const stop of this.#stops) stop();
    for (const pid of [...this.pids, ...this.children]) {
      if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    }
    // A call in its last moment can still write a note.
    await rm(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 });
  }

  #write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  #lines(name: string): string[] {
    const path = join(this.folder, name);
    if (!existsSync(path)) return [];
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  }
}

export async function openPretendSmi(t: TestContext): Promise<PretendSmi> {
  const folder = await mkdtemp(join(tmpdir(), 'mgpu-smi-'));
  const smi = new PretendSmi(folder);
  t.after(() => smi.remove());
  return smi;
}

/** A process that waits to be reaped is dead; who reaps it may be slow. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** For what another process does, of which nothing tells us: looks again and again, at most 10 s. */
export async function untilTrue(what: string, isTrue: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 10_000;
  while (!isTrue()) {
    if (performance.now() > giveUpAt) throw new Error(`waited 10 s for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
