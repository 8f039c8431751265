/** What happened, as text: one line an event, one a command. The same seed gives the same lines, byte for byte. */
import { createHash, type Hash } from 'node:crypto';
import type { Command } from '../src/core/commands.js';
import { describeEvent, describeMove } from '../src/core/describe.js';
import type { CoreEvent } from '../src/core/events.js';
import type { Fact } from '../src/core/facts.js';
import { targetName } from '../src/core/vocabulary.js';
import type { StepRecord } from './daemon.js';

export class Trace {
  readonly #kept: StepRecord[] = [];
  readonly #keep: number;
  readonly #hash: Hash | null;
  readonly #print: ((line: string) => void) | null;

  /** `hashed`: a sum over all lines, for comparing two runs. */
  constructor(options: { readonly keep: number; readonly hashed?: boolean; readonly print?: (line: string) => void }) {
    this.#keep = options.keep;
    this.#hash = options.hashed === true ? createHash('sha256') : null;
    this.#print = options.print ?? null;
  }

  add(record: StepRecord): void {
    if (this.#hash !== null || this.#print !== null) {
      for (const line of linesOf(record)) {
        this.#hash?.update(`${line}\n`);
        this.#print?.(line);
      }
    }
    this.#kept.push(record);
    if (this.#kept.length > 2 * this.#keep) this.#kept.splice(0, this.#keep);
  }

  tail(): string[] {
    return this.#kept.slice(-this.#keep).flatMap(linesOf);
  }

  sum(): string {
    return this.#hash?.digest('hex') ?? '';
  }
}

function linesOf({ at, clock, event, commands }: StepRecord): string[] {
  const time = at === clock ? `${at}` : `${at} (clock ${clock})`;
  return [`${time} ${eventLine(event)}`, ...commands.flatMap((command) => commandLine(command) ?? [])];
}

function eventLine(event: CoreEvent): string {
  if (event.type === 'CardMeasured' && event.reading !== null) {
    const { startedAt, cards, processes } = event.reading;
    const free = cards.map((card) => `free ${card.freeMib}`).join(', ');
    const list = processes?.map((use) => `${use.name}@${use.card}=${use.usedMib}${use.consumer === null ? '?' : ''}`);
    return `CardMeasured from ${startedAt}: ${free}; ${list === undefined ? 'no list' : list.join(' ')}`;
  }
  if (event.type === 'ConsumerAsked') return `ConsumerAsked ${event.consumer} ${JSON.stringify(event.answer)}`;
  if (event.type === 'OperatorAsked') return `OperatorAsked ${JSON.stringify(event.action)}`;
  if (event.type === 'ConfigApplied') {
    return `ConfigApplied ${event.settings.policy} [${[...event.settings.consumers.keys()].sort().join(' ')}]`;
  }
  if (event.type === 'JobEnded') return `${describeEvent(event)} ${event.outcome.code ?? ''}`;
  return describeEvent(event);
}

function commandLine(command: Command): string | null {
  switch (command.type) {
    case 'RecordFact':
      return factLine(command.fact);
    case 'RefuseJob':
    case 'AbortJob':
      return `  ${command.type} ${command.jobId} ${command.outcome.code}: ${command.outcome.message}`;
    case 'StartLoad':
    case 'StartUnload':
      return `  ${command.type} ${targetName(command.target)} ${command.timeoutMs}`;
    case 'SaveMemory':
      return `  SaveMemory ${JSON.stringify(command.memory)}`;
    case 'AnswerOperator':
      return `  AnswerOperator ${command.request} ${JSON.stringify(command.result)}`;
    case 'MeasureCard':
      return '  MeasureCard';
    default:
      return `  ${command.type} ${'jobId' in command ? command.jobId : command.consumer}`;
  }
}

function factLine(fact: Fact): string | null {
  switch (fact.type) {
    case 'gpu':
      return null;
    case 'target':
      return `  - ${targetName(fact.target)} ${fact.from} -> ${fact.to}: ${describeMove(fact.reason)}`;
    case 'job': {
      const last = fact.job.reasons.at(-1)?.reason.code;
      return `  - ${fact.job.id} ${fact.job.consumer}/${fact.job.model ?? ''} ${fact.change}${last === undefined ? '' : ` (last waited: ${last})`}`;
    }
    case 'consumer':
      return `  - ${fact.consumer} is ${fact.health}`;
    case 'out_of_memory':
      return `  - ${targetName(fact.target)} out of memory (${fact.job})`;
    default:
      return `  - ${JSON.stringify(fact)}`;
  }
}
