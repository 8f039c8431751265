/**
 * Which processes use a card right now: `nvidia-smi pmon -c 1 -s u`. It is how work past us is seen on a service that
 * cannot be asked. Measured on an H100 (driver 580): 50 ms a call; use rises within 250 ms of the start of work and
 * falls about 700 ms after its end. Owns at most one running tool; without an answer nothing is known.
 */
import type { ConsumerId } from '../core/vocabulary.js';
import { startTool } from './tool-process.js';

export interface ProcessUseOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly consumerOf: (pid: number) => ConsumerId | null;
}

/** Consumers with processes on a card, and whether any of them works; null: the tool did not say. */
export type UseByConsumer = ReadonlyMap<ConsumerId, boolean> | null;

const MAY_TAKE_MS = 5000;
const MAX_OUTPUT_BYTES = 256 * 1024;

export function createProcessUse({ env, consumerOf }: ProcessUseOptions): { look(): Promise<UseByConsumer> } {
  let isOut = false;
  return {
    async look() {
      // One that hangs is not joined by a second.
      if (isOut) return null;
      isOut = true;
      const tool = startTool({
        command: 'nvidia-smi',
        args: ['pmon', '-c', '1', '-s', 'u'],
        env: { ...env, LC_ALL: 'C' },
        maxOutputBytes: MAX_OUTPUT_BYTES,
        exitGraceMs: 250,
      });
      const timer = setTimeout(() => tool.kill(), MAY_TAKE_MS);
      void tool.gone.then(() => {
        isOut = false;
      });
      const end = await tool.ended;
      clearTimeout(timer);
      return end.type === 'ended' && end.exitCode === 0 ? useIn(end.stdout, consumerOf) : null;
    },
  };
}

/** Columns: card, process, type, sm %, …; a dash is no reading; lines that begin with # are headers. */
export function useIn(text: string, consumerOf: (pid: number) => ConsumerId | null): UseByConsumer {
  const use = new Map<ConsumerId, boolean>();
  for (const line of text.split('\n')) {
    const [, pid = '', , sm = ''] = line.trim().split(/\s+/);
    if (line.trimStart().startsWith('#') || !/^\d+$/.test(pid) || !/^\d+$/.test(sm)) continue;
    const consumer = consumerOf(Number(pid));
    if (consumer !== null) use.set(consumer, use.get(consumer) === true || Number(sm) > 0);
  }
  return use;
}
