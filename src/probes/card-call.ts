/**
 * One call of `nvidia-smi`, from its start to what it said. Owns its process; decides nothing about when to call.
 */
import type { ConsumerId, GpuReading } from '../core/vocabulary.js';
import type { Clock } from '../runtime/ports.js';
import { COMPUTE_APPS, onCards, parseComputeApps } from './compute-apps.js';
import { argumentsFor, type ParsedOutput, parseOutput, refusedField } from './nvidia-smi-output.js';
import { startTool, type ToolEnd, type ToolProcess } from './tool-process.js';

const TOOL = 'nvidia-smi';
const MAX_OUTPUT_BYTES = 256 * 1024;
const EXIT_GRACE_MS = 250;

export interface Measurement {
  readonly reading: GpuReading | null;
  /** For people; also beside a reading, where part of it is missing. */
  readonly error: string | null;
}

export type CallResult =
  | { readonly type: 'measured'; readonly measurement: Measurement }
  | { readonly type: 'failed'; readonly error: string }
  /** This driver does not know the field: ask again without it. */
  | { readonly type: 'refused_field'; readonly field: string };

export interface CardCall {
  readonly startedAt: number;
  readonly tool: Pick<ToolProcess, 'gone' | 'kill' | 'abandon'>;
  /** May never settle. */
  readonly result: Promise<CallResult>;
}

/**
 * Asks for the processes, then for the cards they are on: one after the other, so that a call is one process at any time.
 * In this order, because what changes in between must not count as free when it is not: memory that the list already
 * shows as given back is free in the newer figure too, and what was taken since is in it, if twice.
 */
export function callNvidiaSmi(
  fields: readonly string[],
  env: NodeJS.ProcessEnv,
  clock: Clock,
  consumerOf: (pid: number) => ConsumerId | null,
): CardCall {
  // The age of a reading counts from before the question: what happened since then it may not show.
  const startedAt = clock.now();
  const apps = start(COMPUTE_APPS, env);
  const tool = new ToolSeries(apps);
  const result = apps.ended.then(async (listed): Promise<CallResult> => {
    if (tool.isEnded) return { type: 'failed', error: `${TOOL} was ended before it listed the processes` };
    const isList = listed.type === 'ended' && listed.exitCode === 0 && listed.signal === null;
    // At once: a process that ends meanwhile belongs to nobody.
    const rows = isList ? parseComputeApps(listed.stdout, consumerOf) : null;
    const end = await tool.goOn(start(argumentsFor(fields), env)).ended;
    const understood = understand(end, { fields, env, clock, startedAt });
    if (understood.type !== 'measured' || understood.measurement.reading === null) return understood;
    const { reading } = understood.measurement;
    const processes = rows === null ? null : onCards(rows, reading.cards);
    return { ...understood, measurement: { ...understood.measurement, reading: { ...reading, processes } } };
  });
  void result.then(() => tool.seriesEnded());
  return { startedAt, tool, result };
}

function start(args: readonly string[], env: NodeJS.ProcessEnv): ToolProcess {
  return startTool({
    command: TOOL,
    args,
    env: { ...env, LC_ALL: 'C' },
    maxOutputBytes: MAX_OUTPUT_BYTES,
    exitGraceMs: EXIT_GRACE_MS,
  });
}

/** Two processes in a row, ended and waited for as one. */
class ToolSeries implements Pick<ToolProcess, 'gone' | 'kill' | 'abandon'> {
  readonly gone: Promise<void>;
  isEnded = false;
  readonly #tools: ToolProcess[];
  #resolveGone: () => void = () => {};
  #over = false;

  constructor(first: ToolProcess) {
    this.#tools = [first];
    this.gone = new Promise((resolve) => {
      this.#resolveGone = resolve;
    });
    void first.gone.then(() => this.#look());
  }

  goOn(next: ToolProcess): ToolProcess {
    this.#tools.push(next);
    return next;
  }

  /** No further process follows; gone with the last one. */
  seriesEnded(): void {
    this.#over = true;
    this.#look();
  }

  kill(): void {
    this.isEnded = true;
    for (const tool of this.#tools) tool.kill();
    this.seriesEnded();
  }

  abandon(): void {
    this.isEnded = true;
    for (const tool of this.#tools) tool.abandon();
    this.seriesEnded();
  }

  #look(): void {
    if (this.#over) void Promise.all(this.#tools.map((tool) => tool.gone)).then(this.#resolveGone);
  }
}

interface Asked {
  readonly fields: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly startedAt: number;
}

function understand(end: ToolEnd, asked: Asked): CallResult {
  switch (end.type) {
    case 'not_started':
      return { type: 'failed', error: notStarted(end.cause, asked.env) };
    case 'too_much':
      return { type: 'failed', error: `${TOOL} printed more than ${MAX_OUTPUT_BYTES / 1024} KiB and was ended` };
    case 'ended':
      return end.signal === null
        ? readEnd(end.exitCode ?? 0, end.stdout, end.stderr, asked)
        : { type: 'failed', error: `${TOOL} was ended by ${end.signal}` };
  }
}

function readEnd(exitCode: number, stdout: string, stderr: string, asked: Asked): CallResult {
  const refused = exitCode === 0 ? null : refusedField(`${stdout}\n${stderr}`);
  if (refused !== null && asked.fields.includes(refused)) return { type: 'refused_field', field: refused };
  const output = parseOutput(stdout, asked.fields);
  if (output.cards.length === 0) return { type: 'failed', error: withoutCards(exitCode, output, stderr) };
  const { clock, startedAt } = asked;
  const reading: GpuReading = {
    source: 'nvidia-smi',
    startedAt,
    processes: null,
    sampledAt: startedAt,
    sampledWall: clock.wallOf(startedAt),
    cards: output.cards,
  };
  // One card can be lost to the bus while the others are read well: both are told.
  const remarks = exitCode === 0 ? [] : [`${TOOL} ended with exit code ${exitCode}${said(output, stderr)}`];
  const complaints = [...remarks, ...output.complaints];
  return { type: 'measured', measurement: { reading, error: complaints.length === 0 ? null : complaints.join('; ') } };
}

function withoutCards(exitCode: number, output: ParsedOutput, stderr: string): string {
  const words = said(output, stderr);
  if (exitCode !== 0) return `${TOOL} ended with exit code ${exitCode}${words}`;
  return words === '' ? `${TOOL} shows no card` : `${TOOL} shows no card${words}`;
}

/** The tool's own words: it puts its errors on standard output. Cut, so that a log line stays one. */
function said({ otherLines }: ParsedOutput, stderr: string): string {
  const words = [...otherLines, ...stderr.split(/\r?\n/)].map((line) => line.trim()).filter((line) => line !== '');
  return words.length === 0 ? '' : `: ${words.join(' ').slice(0, 300)}`;
}

function notStarted(cause: NodeJS.ErrnoException, env: NodeJS.ProcessEnv): string {
  const path = env.PATH === undefined || env.PATH === '' ? 'PATH is empty' : `PATH is ${env.PATH}`;
  if (cause.code === 'ENOENT') {
    return `${TOOL} was not found (${path}); install the NVIDIA driver's tools or mend PATH, or set gpu.source: none`;
  }
  if (cause.code === 'EACCES') {
    return `${TOOL} may not be executed (${path}); give this user the right to execute it, or set gpu.source: none`;
  }
  return `${TOOL} could not be started (${cause.code ?? cause.message})`;
}
