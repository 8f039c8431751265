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

/** null: what came is no list. */
export function parseComputeApps(
  text: string,
  cards: readonly CardReading[],
  consumerOf: (pid: number) => ConsumerId | null,
): ProcessUse[] | null {
  const uses: ProcessUse[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '' || /^\s*gpu_uuid\s*,/i.test(line)) continue;
    const [uuid = '', pid = '', used = '', ...name] = line.split(',').map((cell) => cell.trim());
    const card = cards.find((one) => one.uuid === uuid);
    if (card === undefined || !/^\d+$/.test(pid)) return null;
    const usedMib = /^(\d+)( MiB)?$/.exec(used)?.[1];
    uses.push({
      card: card.index,
      pid: Number(pid),
      name: name.join(', '),
      usedMib: usedMib === undefined ? null : Number(usedMib),
      consumer: consumerOf(Number(pid)),
    });
    if (uses.length > MOST_PROCESSES) return null;
  }
  return uses;
}
