/**
 * Decisions as text: a scenario file holds directives, a line `----`, and exactly what the core answers. Times are
 * said by `at SECONDS`. `REWRITE_SCENARIOS=1 npm test` writes the answers anew; read the difference before believing it.
 */
import { step } from '../../src/core/broker.js';
import type { Command } from '../../src/core/commands.js';
import { describeMove, describeReason } from '../../src/core/describe.js';
import type { CoreEvent } from '../../src/core/events.js';
import type { Fact } from '../../src/core/facts.js';
import { type BrokerMemory, NO_MEMORY } from '../../src/core/memory.js';
import type { ConsumerSettings, Settings } from '../../src/core/settings.js';
import { snapshotOf } from '../../src/core/snapshot.js';
import { type BrokerState, newBrokerState } from '../../src/core/state.js';
import {
  consumerId,
  JOB_CLASSES,
  type JobClass,
  jobId,
  type PolicyName,
  targetName,
  targetOfName,
} from '../../src/core/vocabulary.js';

export interface Block {
  readonly directives: readonly string[];
  readonly expected: string;
}

export function parseScenario(text: string): Block[] {
  return text
    .split(/\n{2,}/)
    .filter((part) => part.includes('----'))
    .map((part) => {
      const [head = '', expected = ''] = part.split(/^----\n?/m);
      return { directives: head.split('\n').filter((line) => line !== ''), expected: expected.trimEnd() };
    });
}

export function runScenario(blocks: readonly Block[]): string[] {
  const runner = new ScenarioRunner();
  return blocks.map((block) => block.directives.flatMap((line) => runner.run(line)).join('\n'));
}

export function formatScenario(blocks: readonly Block[], answers: readonly string[]): string {
  return blocks
    .map(
      (block, index) => `${block.directives.join('\n')}\n----\n${answers[index] === '' ? '' : `${answers[index]}\n`}`,
    )
    .join('\n');
}

export function settingsFor(options: {
  policy: PolicyName;
  consumers: readonly string[];
  queueMax?: number;
  queueTimeoutMs?: number | null;
  /** Per consumer, as scenario files write it: `a:4000+1000,ask,unit,models,call,start,works,spares=b,pin`. */
  features?: Readonly<Record<string, string>>;
  totalMib?: number | null;
}): Settings {
  const limit = options.queueTimeoutMs === undefined ? null : options.queueTimeoutMs;
  return {
    policy: options.policy,
    queueMax: options.queueMax ?? 500,
    queueTimeoutMs: { interactive: limit, normal: limit, batch: limit },
    noRoomMs: 30_000,
    reserveMib: 500,
    totalMib: options.totalMib ?? null,
    consumers: new Map(
      options.consumers.map((name) => {
        const consumer = consumerFor(name, (options.features?.[name] ?? '').split(','));
        return [consumer.id, consumer];
      }),
    ),
  };
}

function consumerFor(name: string, features: readonly string[]): ConsumerSettings {
  const size = features.find((word) => /^\d/.test(word));
  const [resident, run] = (size ?? '').split('+').map(Number);
  const spares = features.find((word) => word.startsWith('spares='))?.slice('spares='.length);
  const cards = features.find((word) => word.startsWith('cards='))?.slice('cards='.length) ?? '0';
  return {
    id: consumerId(name),
    endpoint: `http://${name}`,
    cards: cards.split('&').map(Number),
    parallel: 1,
    declared: {
      residentMib: size === undefined ? null : (resident ?? null),
      runMib: size === undefined ? null : (run ?? 0),
      pinned: features.includes('pin'),
    },
    models: new Map(),
    canCoexistWith: new Set((spares ?? '').split('&').map(consumerId)),
    loads: features.includes('call') ? 'by_call' : features.includes('start') ? 'at_start' : 'by_job',
    unloadsByCall: features.includes('ask'),
    unit: features.includes('unit') ? `${name}.service` : null,
    start: features.includes('never') ? 'never' : features.includes('on-demand') ? 'on-demand' : 'parked',
    swaps: features.includes('models') ? 'models' : 'consumer',
    asksForeignWork: features.includes('works'),
    loadTimeoutMs: 180_000,
    unloadTimeoutMs: 15_000,
  };
}

class ScenarioRunner {
  #state: BrokerState = newBrokerState(settingsFor({ policy: 'locked', consumers: [] }), 0);
  #memory: BrokerMemory = NO_MEMORY;
  #nowMs = 0;

  run(line: string): string[] {
    if (line.startsWith('#')) return [];
    const [verb = '', ...words] = line.trim().split(/\s+/);
    if (verb === 'at') {
      this.#nowMs = Number(words[0]) * 1000;
      return this.#step({ type: 'Ticked' });
    }
    if (verb === 'status') return this.#status();
    if (verb === 'restart') {
      // Killed and started again: of what it knew there is only what it had saved.
      this.#state = newBrokerState(this.#state.settings, this.#nowMs, this.#memory);
      return this.#step({ type: 'Ticked' });
    }
    const event = this.#eventOf(verb, words);
    return this.#step(event);
  }

  #step(event: CoreEvent): string[] {
    const { commands } = step(this.#state, event, this.#nowMs);
    for (const command of commands) if (command.type === 'SaveMemory') this.#memory = command.memory;
    return commands.flatMap((command) => describeCommand(command) ?? []);
  }

  #status(): string[] {
    const snapshot = snapshotOf(this.#state);
    const head = `depth ${snapshot.queueDepth}, in flight ${snapshot.inFlight}, total ${snapshot.totalJobs}`;
    const jobs = [...snapshot.jobs()].map((job) => {
      const reason = job.reason === null ? '' : `: ${describeReason(job.reason, snapshot.at)}`;
      return `${job.id} ${job.state}${job.position === null ? '' : ` #${job.position}`}${reason}`;
    });
    const targets = snapshot.consumers.flatMap((consumer) =>
      consumer.targets.map(
        (one) =>
          `${targetName(one.target)} ${one.residency}${one.residentMib === null ? '' : ` ${one.residentMib} (${one.source})`}`,
      ),
    );
    const busy = snapshot.consumers
      .filter(({ foreignWork }) => (foreignWork ?? 0) > 0)
      .map(({ id, foreignWork }) => `${id} has ${foreignWork} pieces of work that are not ours`);
    return [head, ...jobs, ...(this.#state.settings.policy === 'vram-lru' ? [...targets, ...busy] : [])];
  }

  #eventOf(verb: string, words: readonly string[]): CoreEvent {
    const [first = '', second = '', third = ''] = words;
    switch (verb) {
      case 'config':
        return { type: 'ConfigApplied', settings: this.#settingsOf(words) };
      case 'up':
        return this.#probe(first, 'good');
      case 'down':
        return this.#probe(first, 'bad');
      case 'mute':
        return this.#probe(first, 'timed_out', second);
      case 'announce':
        return { type: 'JobAnnounced', job: this.#jobOf(first, second, third) };
      case 'arrive':
        return {
          type: 'JobArrived',
          jobId: jobId(first),
          model: second === '' ? null : second,
          ...(third === 'elsewhere' ? { usesCard: false } : {}),
        };
      case 'leave':
        return { type: 'ClientLeft', jobId: jobId(first) };
      case 'answered':
        return { type: 'AnswerSent', jobId: jobId(first) };
      case 'done':
        return this.#ended(first, { end: 'done', code: null, message: null }, true);
      case 'failed':
        return this.#ended(first, { end: 'failed', code: 'consumer_failed', message: 'reset' }, second !== 'working');
      case 'over':
        return { type: 'WorkEnded', jobId: jobId(first) };
      case 'first':
        return { type: 'FirstByteSeen', jobId: jobId(first) };
      case 'reading':
        return this.#reading(words);
      case 'loaded':
        return { type: 'LoadEnded', target: targetOfName(first), error: second === '' ? null : second };
      case 'unloaded':
        return { type: 'UnloadEnded', target: targetOfName(first), error: second === '' ? null : second };
      case 'started':
        return { type: 'UnitStarted', consumer: consumerId(first), error: second === '' ? null : second };
      case 'stopped':
        return { type: 'UnitStopped', consumer: consumerId(first), error: second === '' ? null : second };
      case 'says':
        return this.#says(first, words.slice(1));
      case 'oom':
        return {
          type: 'OutOfMemorySeen',
          jobId: jobId(first),
          canRetry: second !== 'late',
          message: 'CUDA out of memory',
        };
      case 'read':
        return { type: 'ConsumerRead', consumer: consumerId(first) };
      case 'evict':
      case 'load':
        return {
          type: 'OperatorAsked',
          action: {
            kind: verb,
            target: targetOfName(first),
            request: 1,
            timeoutMs: second === '' ? null : Number(second) * 1000,
          },
          by: 'tester',
        };
      case 'pin':
      case 'unpin':
      case 'forget':
        return { type: 'OperatorAsked', action: { kind: verb, target: targetOfName(first), request: 1 }, by: 'tester' };
      case 'cancel':
        return { type: 'OperatorAsked', action: { kind: 'cancel', job: jobId(first) }, by: 'tester' };
      case 'drain':
      case 'resume':
      case 'shut_down':
        return { type: 'OperatorAsked', action: { kind: verb }, by: 'tester' };
      default:
        throw new Error(`no such directive: ${verb}`);
    }
  }

  #settingsOf(words: readonly string[]): Settings {
    const named = new Map(words.map((word) => word.split('=') as [string, string]));
    const timeout = named.get('timeout');
    return settingsFor({
      policy: (named.get('policy') ?? 'locked') as PolicyName,
      consumers: (named.get('consumers') ?? '').split(',').filter((name) => name !== ''),
      queueMax: Number(named.get('max') ?? 500),
      queueTimeoutMs: timeout === undefined ? null : Number(timeout) * 1000,
      features: Object.fromEntries(words.filter((word) => word.includes(':')).map((word) => word.split(/:(.*)/s))),
      totalMib: named.has('total') ? Number(named.get('total')) : null,
    });
  }

  /**
   * `reading total=24000 a=4000 b=600 stranger=2000`: all on card 0; `nolist`: no processes; `none`: no reading;
   * `empty`: a list without anybody, as in a container; `words`: words where numbers are expected; `absurd`: more free than there is.
   */
  #reading(words: readonly string[]): CoreEvent {
    if (words[0] === 'none') return { type: 'CardMeasured', reading: null, error: 'nvidia-smi is not there' };
    const uses = words.filter((word) => word.includes('=') && !word.startsWith('total='));
    const processes = uses.map((word, index) => {
      const [name = '', mib = '0'] = word.split('=');
      const consumer = name === 'stranger' ? null : consumerId(name);
      return { card: 0, pid: 100 + index, name, usedMib: Number(mib), consumer };
    });
    const total = Number(words.find((word) => word.startsWith('total='))?.slice(6) ?? 24_000);
    const used = processes.reduce((sum, use) => sum + use.usedMib, 0);
    const numbers = !words.includes('words');
    const free = words.includes('absurd') ? 3 * total : total - used;
    return {
      type: 'CardMeasured',
      error: null,
      reading: {
        source: 'nvidia-smi',
        startedAt: this.#nowMs,
        sampledAt: this.#nowMs,
        sampledWall: 0,
        processes: words.includes('nolist') || !numbers ? null : words.includes('empty') ? [] : processes,
        cards: [
          {
            index: 0,
            uuid: 'GPU-0',
            name: 'pretend',
            totalMib: numbers ? total : null,
            usedMib: numbers ? used : null,
            freeMib: numbers ? free : null,
            driverReservedMib: numbers ? 0 : null,
            utilizationPct: null,
            temperatureC: null,
            powerW: null,
          },
        ],
      },
    };
  }

  /**
   * `says ollama work=1 qwen=5000 small=900`, `says ollama nothing`, `says ollama silent`; `busy`, `idle`: what the driver
   * counts; `since=2`: what was asked at 2 s.
   */
  #says(name: string, words: readonly string[]): CoreEvent {
    const consumer = consumerId(name);
    const since = words.find((word) => word.startsWith('since=')) ?? '';
    const startedAt = this.#sinceMs(since);
    const seen = words.includes('busy') || words.includes('idle') ? { usesCard: words.includes('busy') } : {};
    if (words.includes('silent')) return { type: 'ConsumerAsked', consumer, answer: null, ...seen, startedAt };
    const work = words.find((word) => word.startsWith('work='));
    const loaded = words
      .filter((word) => !/^(work|since)=/.test(word) && word.includes('='))
      .map((word) => ({ model: word.split('=')[0] ?? '', mib: Number(word.split('=')[1]) }));
    const knows = loaded.length > 0 || words.includes('nothing');
    return {
      type: 'ConsumerAsked',
      consumer,
      answer: { loaded: knows ? loaded : null, work: work === undefined ? null : Number(work.slice(5)) },
      ...seen,
      startedAt,
    };
  }

  #sinceMs(word: string): number {
    return word === '' ? this.#nowMs : Number(word.slice('since='.length)) * 1000;
  }

  #jobOf(id: string, consumer: string, jobClass: string) {
    const known = JOB_CLASSES.find((name) => name === jobClass) ?? ('interactive' satisfies JobClass);
    return { id: jobId(id), consumer: consumerId(consumer), capability: null, class: known, client: '127.0.0.1' };
  }

  /** `mute a since=2`: a probe that began at 2 s. */
  #probe(name: string, result: 'good' | 'bad' | 'timed_out', since = ''): CoreEvent {
    const error = result === 'good' ? null : 'connection refused';
    return { type: 'ProbeEnded', consumer: consumerId(name), result, error, startedAt: this.#sinceMs(since) };
  }

  #ended(id: string, outcome: Extract<CoreEvent, { type: 'JobEnded' }>['outcome'], workOver: boolean): CoreEvent {
    return { type: 'JobEnded', jobId: jobId(id), outcome, workOver };
  }
}

function describeCommand(command: Command): string | null {
  switch (command.type) {
    case 'AdmitJob':
    case 'GrantJob':
    case 'RetryJob':
    case 'PassAnswer':
      return `${command.type} ${command.jobId}`;
    case 'RefuseJob':
    case 'AbortJob':
      return `${command.type} ${command.jobId} ${command.outcome.end} ${command.outcome.code}: ${command.outcome.message}`;
    case 'StartLoad':
    case 'StartUnload':
      return `${command.type} ${targetName(command.target)}`;
    case 'StartUnit':
    case 'StopUnit':
    case 'AskConsumer':
      return `${command.type} ${command.consumer}`;
    case 'MeasureCard':
      return 'MeasureCard';
    case 'AnswerOperator':
      return `AnswerOperator ${command.result.ok ? 'yes' : `no ${command.result.code}`}: ${command.result.message}`;
    case 'SaveMemory':
      return command.memory.parked.length === 0 ? null : `  saved, parked: ${command.memory.parked.join(' ')}`;
    case 'RecordFact':
      return describeFact(command.fact);
  }
}

function describeFact(fact: Fact): string | null {
  if (fact.type === 'consumer') return `  fact ${fact.consumer} is ${fact.health}`;
  if (fact.type === 'target')
    return `  fact ${targetName(fact.target)} ${fact.from} -> ${fact.to}: ${describeMove(fact.reason)}`;
  if (fact.type === 'out_of_memory') return `  fact ${targetName(fact.target)} out of memory`;
  if (fact.type !== 'job') return null;
  if (fact.change === 'ended') return `  fact ${fact.job.id} ended ${fact.job.outcome?.end}`;
  return fact.change === 'work_over' ? `  fact ${fact.job.id} work over` : null;
}
