/**
 * Decisions as text: a scenario file holds directives, a line `----`, and exactly what the core answers. Times are
 * said by `at SECONDS`. `REWRITE_SCENARIOS=1 npm test` writes the answers anew; read the difference before believing it.
 */
import { step } from '../../src/core/broker.js';
import type { Command } from '../../src/core/commands.js';
import { describeReason } from '../../src/core/describe.js';
import type { CoreEvent } from '../../src/core/events.js';
import type { Settings } from '../../src/core/settings.js';
import { snapshotOf } from '../../src/core/snapshot.js';
import { type BrokerState, newBrokerState } from '../../src/core/state.js';
import { consumerId, JOB_CLASSES, type JobClass, jobId, type PolicyName } from '../../src/core/vocabulary.js';

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
}): Settings {
  const limit = options.queueTimeoutMs === undefined ? null : options.queueTimeoutMs;
  return {
    policy: options.policy,
    queueMax: options.queueMax ?? 500,
    queueTimeoutMs: { interactive: limit, normal: limit, batch: limit },
    consumers: new Map(
      options.consumers.map((name) => {
        const id = consumerId(name);
        return [id, { id, endpoint: `http://${name}`, cards: [0], parallel: 1 }];
      }),
    ),
  };
}

class ScenarioRunner {
  #state: BrokerState = newBrokerState(settingsFor({ policy: 'locked', consumers: [] }), 0);
  #nowMs = 0;

  run(line: string): string[] {
    if (line.startsWith('#')) return [];
    const [verb = '', ...words] = line.trim().split(/\s+/);
    if (verb === 'at') {
      this.#nowMs = Number(words[0]) * 1000;
      return this.#step({ type: 'Ticked' });
    }
    if (verb === 'status') return this.#status();
    const event = this.#eventOf(verb, words);
    return this.#step(event);
  }

  #step(event: CoreEvent): string[] {
    const { commands } = step(this.#state, event, this.#nowMs);
    return commands.flatMap((command) => describeCommand(command) ?? []);
  }

  #status(): string[] {
    const snapshot = snapshotOf(this.#state);
    const head = `depth ${snapshot.queueDepth}, in flight ${snapshot.inFlight}, total ${snapshot.totalJobs}`;
    const jobs = [...snapshot.jobs()].map((job) => {
      const reason = job.reason === null ? '' : `: ${describeReason(job.reason, snapshot.at)}`;
      return `${job.id} ${job.state}${job.position === null ? '' : ` #${job.position}`}${reason}`;
    });
    return [head, ...jobs];
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
        return this.#probe(first, 'timed_out');
      case 'announce':
        return { type: 'JobAnnounced', job: this.#jobOf(first, second, third) };
      case 'arrive':
        return { type: 'JobArrived', jobId: jobId(first), model: second === '' ? null : second };
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
    });
  }

  #jobOf(id: string, consumer: string, jobClass: string) {
    const known = JOB_CLASSES.find((name) => name === jobClass) ?? ('interactive' satisfies JobClass);
    return { id: jobId(id), consumer: consumerId(consumer), capability: null, class: known, client: '127.0.0.1' };
  }

  #probe(name: string, result: 'good' | 'bad' | 'timed_out'): CoreEvent {
    const error = result === 'good' ? null : 'connection refused';
    return { type: 'ProbeEnded', consumer: consumerId(name), result, error, startedAt: this.#nowMs };
  }

  #ended(id: string, outcome: Extract<CoreEvent, { type: 'JobEnded' }>['outcome'], workOver: boolean): CoreEvent {
    return { type: 'JobEnded', jobId: jobId(id), outcome, workOver };
  }
}

function describeCommand(command: Command): string | null {
  switch (command.type) {
    case 'AdmitJob':
    case 'GrantJob':
      return `${command.type} ${command.jobId}`;
    case 'RefuseJob':
    case 'AbortJob':
      return `${command.type} ${command.jobId} ${command.outcome.end} ${command.outcome.code}: ${command.outcome.message}`;
    case 'RecordFact': {
      const { fact } = command;
      if (fact.type === 'consumer') return `  fact ${fact.consumer} is ${fact.health}`;
      if (fact.type === 'job' && fact.change === 'ended') return `  fact ${fact.job.id} ended ${fact.job.outcome?.end}`;
      if (fact.type === 'job' && fact.change === 'work_over') return `  fact ${fact.job.id} work over`;
      return null;
    }
  }
}
