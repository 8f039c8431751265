/**
 * Which processes hold memory on the cards: what `nvidia-smi --query-compute-apps` is asked, and how its answer is read.
 * Seen with driver 580: one line a process and card, none at all on an idle card. In containers and on WSL the list is
 * empty or says `[N/A]` although work runs: then it is no list. Pure.
 */
import type { CardReading, ConsumerId, ProcessUse } from '../core/vocabulary.js';

export const COMPUTE_APPS = [
  '--query-compute-apps=gpu_uuid,pid,used_memory,process_name',
  '--format=csv,noheader,nounits',
];

/** More processes than any machine has on its cards; more rows are a broken tool's. */
const MOST_PROCESSES = 1024;

/** A process on a card that is known by its UUID only. */
interface AppRow extends Omit<ProcessUse, 'card'> {
  readonly uuid: string;
}

/** null: what came is no list. */
export function parseComputeApps(
  text: string,
  consumerOf: (pid: number) => ConsumerId | null,
): readonly AppRow[] | null {
  const rows: AppRow[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '' || /^\s*gpu_uuid\s*,/i.test(line)) continue;
    const [uuid = '', pid = '', used = '', ...name] = line.split(',').map((cell) => cell.trim());
    if (!/^\d+$/.test(pid)) return null;
    const usedMib = /^(\d+)( MiB)?$/.exec(used)?.[1];
    rows.push({
      uuid,
      pid: Number(pid),
      name: name.join(', '),
      usedMib: usedMib === undefined ? null : Number(usedMib),
      consumer: consumerOf(Number(pid)),
    });
    if (rows.length > MOST_PROCESSES) return null;
  }
  return rows;
}

/** null: a row names a card that is not there, so the list is of something else. */
export function onCards(rows: readonly AppRow[], cards: readonly CardReading[]): ProcessUse[] | null {
  const uses: ProcessUse[] = [];
  for (const { uuid, ...use } of rows) {
    const card = cards.find((one) => one.uuid === uuid);
    if (card === undefined) return null;
    uses.push({ card: card.index, ...use });
  }
  return uses;
}
