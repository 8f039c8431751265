/**
 * What the consumers and the card of `core-world.ts` answer, when they are told to: every request of the core stays
 * open until then. Holds who has how much memory; a lie is an answer that changes nothing.
 */
import type { Command } from '../../src/core/commands.js';
import type { CoreEvent, OperatorAction } from '../../src/core/events.js';
import { consumerId, type GpuReading, targetName } from '../../src/core/vocabulary.js';

type Request = Extract<
  Command,
  { type: 'StartLoad' | 'StartUnload' | 'StartUnit' | 'StopUnit' | 'MeasureCard' | 'AskConsumer' }
>;

const TOTAL_MIB = 24_000;
const SIZES: Readonly<Record<string, number>> = { a: 9000, b: 14_000, c: 6000, d: 12_000, e: 8000 };
const REQUESTS: readonly Command['type'][] = [
  'StartLoad',
  'StartUnload',
  'StartUnit',
  'StopUnit',
  'MeasureCard',
  'AskConsumer',
];

export class CoreConsumers {
  readonly #held = new Map<string, number>([['c', SIZES.c ?? 0]]);
  #open: Request[] = [];
  #asked = 0;

  see(command: Command, grantedOn: string | null): void {
    if (grantedOn !== null) this.#held.set(grantedOn, SIZES[grantedOn] ?? 1000);
    if (isRequest(command)) this.#open.push(command);
  }

  /** null: nothing is open. Every fourth answer is a lie, every seventh an error. */
  answerOne(pick: number, nowMs: number): CoreEvent | null {
    const [request] = this.#open.splice(pick % Math.max(1, this.#open.length), 1);
    if (request === undefined) return null;
    return this.#answer(request, nowMs, pick % 4 !== 3, pick % 7 === 6 ? 'no' : null);
  }

  answerTruly(nowMs: number): CoreEvent | null {
    const request = this.#open.shift();
    return request === undefined ? null : this.#answer(request, nowMs, true, null);
  }

  operatorAsks(pick: number): CoreEvent {
    this.#asked += 1;
    const target = { consumer: consumerId(['a', 'b', 'c', 'd', 'e', 'nobody'][pick % 6] ?? 'a'), model: null };
    const kind = (['load', 'evict', 'forget'] as const)[pick % 3] ?? 'evict';
    const action: OperatorAction =
      kind === 'forget'
        ? { kind, target, request: this.#asked }
        : { kind, target, request: this.#asked, timeoutMs: pick % 2 === 0 ? null : 400 };
    return { type: 'OperatorAsked', action, by: 'judge' };
  }

  #answer(request: Request, nowMs: number, truly: boolean, error: string | null): CoreEvent {
    switch (request.type) {
      case 'MeasureCard':
        return { type: 'CardMeasured', reading: error === null ? this.#reading(nowMs) : null, error };
      case 'AskConsumer':
        return {
          type: 'ConsumerAsked',
          consumer: request.consumer,
          answer: error === null ? NOTHING : null,
          startedAt: nowMs,
        };
      case 'StartLoad':
        if (truly && error === null) this.#held.set(targetName(request.target), SIZES[request.target.consumer] ?? 1000);
        return { type: 'LoadEnded', target: request.target, error };
      case 'StartUnload':
        if (truly) this.#held.set(targetName(request.target), 600);
        return { type: 'UnloadEnded', target: request.target, error };
      case 'StartUnit':
        if (truly && error === null) this.#held.set(request.consumer, SIZES[request.consumer] ?? 1000);
        return { type: 'UnitStarted', consumer: request.consumer, error };
      case 'StopUnit':
        if (truly) this.#held.delete(request.consumer);
        return { type: 'UnitStopped', consumer: request.consumer, error };
    }
  }

  #reading(nowMs: number): GpuReading {
    const uses = [...this.#held].map(([name, usedMib], index) => ({
      card: 0,
      pid: 100 + index,
      name,
      usedMib,
      consumer: consumerId(name),
    }));
    const usedMib = Math.min(
      TOTAL_MIB,
      uses.reduce((sum, use) => sum + use.usedMib, 0),
    );
    const card = { index: 0, uuid: null, name: null, totalMib: TOTAL_MIB, usedMib, freeMib: TOTAL_MIB - usedMib };
    const rest = { driverReservedMib: null, utilizationPct: null, temperatureC: null, powerW: null };
    return {
      source: 'nvidia-smi',
      startedAt: nowMs,
      sampledAt: nowMs,
      sampledWall: 0,
      processes: uses,
      cards: [{ ...card, ...rest }],
    };
  }
}

const NOTHING = { loaded: null, work: 0 } as const;

function isRequest(command: Command): command is Request {
  return REQUESTS.includes(command.type);
}
