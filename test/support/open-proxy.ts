/** The real proxy behind the real door, with the real loop and core, on a port of its own for the length of one test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Adapter } from '../../src/adapters/adapter.js';
import type { Configuration, ConsumerConfiguration } from '../../src/config/configuration.js';
import type { JobView, TimedFact } from '../../src/core/facts.js';
import { newBrokerState } from '../../src/core/state.js';
import { consumerId } from '../../src/core/vocabulary.js';
import { createProxy, type ProxyWing } from '../../src/proxy/proxy.js';
import { systemClock } from '../../src/runtime/clock.js';
import { createExecutor, type ExecutorOptions } from '../../src/runtime/executor.js';
import { Journal } from '../../src/runtime/journal.js';
import { Loop } from '../../src/runtime/loop.js';
import { settingsOf } from '../../src/runtime/settings.js';
import { openDoor } from './open-door.js';
import { plainAdapter } from './plain-adapter.js';
import { HeldConfiguration, sampleConfiguration, sampleConsumer } from './sample-configuration.js';
import { SilentLog } from './silent-log.js';

export interface OpenProxy {
  readonly port: number;
  readonly loop: Loop;
  readonly proxy: ProxyWing;
  readonly log: SilentLog;
  readonly configuration: HeldConfiguration;
  /** The next job fact of this change; each is handed out once, those that came before are kept. */
  readonly job: (change: JobChange) => Promise<JobView>;
  readonly setHealth: (consumer: string, result: 'good' | 'bad', error?: string) => void;
}

type JobChange = Extract<TimedFact['fact'], { type: 'job' }>['change'];

export type Timeouts = Partial<ConsumerConfiguration['timeouts']>;

/** A consumer at `url` that serves all capabilities, each at a path of its name. */
export function consumerAt(url: string, changes: Partial<ConsumerConfiguration> & { limits?: Timeouts } = {}) {
  const { limits, ...rest } = changes;
  const consumer = sampleConsumer('service', {
    url,
    paths: { tts: '/tts', stt: '/stt', llm: '/llm', image: '/image' },
    ...rest,
  });
  return { ...consumer, timeouts: { ...consumer.timeouts, ...limits } };
}

export async function openProxy(
  t: TestContext,
  consumer: ConsumerConfiguration,
  changes: Partial<Configuration> & { adapter?: Adapter } = {},
): Promise<OpenProxy> {
  const stateDir = await mkdtemp(join(tmpdir(), 'mgpu-proxy-'));
  const { adapter = plainAdapter(), ...rest } = changes;
  const { id } = consumer;
  const configuration = new HeldConfiguration(
    sampleConfiguration({
      ...{ consumers: new Map([[id, consumer]]), routes: { tts: id, stt: id, llm: id, image: id }, stateDir },
      ...rest,
    }),
  );
  const settings = () => settingsOf(configuration.current(), () => adapter.powers);
  const loop = new Loop(newBrokerState(settings(), systemClock.now()), systemClock);
  const adapters = {
    ...{ http: adapter, ollama: adapter, 'whisper-server': adapter, comfyui: adapter, openai: adapter },
    automatic1111: adapter,
  };
  const log = new SilentLog();
  const proxy = createProxy({ broker: loop, configuration, adapters, clock: systemClock, log });
  const journal = new Journal(log);
  const facts = new JobFacts(journal);
  loop.start(createExecutor({ broker: loop, jobs: proxy.jobs, journal, ...noMachine(loop) }));
  const setHealth: OpenProxy['setHealth'] = (name, result, error) =>
    loop.post({
      type: 'ProbeEnded',
      consumer: consumerId(name),
      result,
      error: error ?? null,
      startedAt: systemClock.now(),
    });
  setHealth(id, 'good');
  const door = await openDoor(t, proxy.routes, { configuration });
  t.after(async () => {
    proxy.close();
    loop.close();
    await rm(stateDir, { recursive: true, force: true });
  });
  return { port: door.port, loop, proxy, log, configuration, setHealth, job: (change) => facts.next(change) };
}

/** No units, no cards, no state folder: what the executor needs beside the proxy. */
export function noMachine(loop: Loop): Omit<ExecutorOptions, 'broker' | 'jobs' | 'journal'> {
  const nothing = () => Promise.resolve();
  return {
    consumers: { load: nothing, unload: nothing, ask: () => Promise.resolve(null) },
    units: { start: nothing, stop: nothing },
    card: { measure: () => loop.post({ type: 'CardMeasured', reading: null, error: 'no card' }) },
    memory: { save: () => {} },
    operators: { answer: () => {} },
  };
}

class JobFacts {
  readonly #kept: { change: JobChange; job: JobView }[] = [];
  readonly #wanted: { change: JobChange; give: (job: JobView) => void }[] = [];

  constructor(journal: Journal) {
    journal.subscribe(({ fact }) => {
      if (fact.type !== 'job') return;
      const at = this.#wanted.findIndex(({ change }) => change === fact.change);
      const [wanted] = at === -1 ? [] : this.#wanted.splice(at, 1);
      if (wanted === undefined) this.#kept.push({ change: fact.change, job: fact.job });
      else wanted.give(fact.job);
    });
  }

  next(change: JobChange): Promise<JobView> {
    const at = this.#kept.findIndex((kept) => kept.change === change);
    const [kept] = at === -1 ? [] : this.#kept.splice(at, 1);
    if (kept !== undefined) return Promise.resolve(kept.job);
    return new Promise((give) => this.#wanted.push({ change, give }));
  }
}
