/**
 * The daemon of the pretend world: the real core, stepped one event at a time, and what stands around it: the loop
 * with its one timer, the sampler, the probes, and the hands that carry the commands out. Can be killed, and comes back
 * with what it had saved.
 */
import { step as realStep, type StepResult } from '../src/core/broker.js';
import type { Command, OperatorResult } from '../src/core/commands.js';
import type { CoreEvent } from '../src/core/events.js';
import { type BrokerMemory, NO_MEMORY } from '../src/core/memory.js';
import type { Settings } from '../src/core/settings.js';
import { type BrokerState, newBrokerState } from '../src/core/state.js';
import type { ConsumerId, Target } from '../src/core/vocabulary.js';
import { Clients } from './clients.js';
import type { Faults } from './faults.js';
import type { Gauge } from './gauge.js';
import type { Random } from './random.js';
import type { PretendService, Said } from './service.js';
import type { Timeline } from './timeline.js';

export type StepFunction = (state: BrokerState, event: CoreEvent, now: number) => StepResult;

/** One step, for the judges and the trace. */
export interface StepRecord {
  /** World time and the daemon's clock, ms. */
  readonly at: number;
  readonly clock: number;
  readonly event: CoreEvent;
  readonly commands: readonly Command[];
  readonly wakeAt: number | null;
}

export interface DaemonWorld {
  readonly timeline: Timeline;
  readonly faults: Faults;
  readonly random: Random;
  readonly services: ReadonlyMap<string, PretendService>;
  readonly gauge: (clock: () => number) => Gauge;
  /** Called after each step, before its commands are carried out. */
  readonly watch: (record: StepRecord) => void;
  /** Called before a command is carried out: the moment for something to get in between. */
  readonly between: (command: Command) => void;
  /** The core, or one with a planted bug. */
  readonly step?: StepFunction;
}

const SAMPLE_MS = 2000;
const PROBE_MS = 5000;
const PROBE_TIMEOUT_MS = 2000;
const ASK_TIMEOUT_MS = 2000;

export class Daemon {
  readonly #world: DaemonWorld;
  readonly #gauge: Gauge;
  readonly clients: Clients;
  #settings: Settings;
  #state: BrokerState;
  #memory: BrokerMemory = NO_MEMORY;
  #pending: CoreEvent[] = [];
  #turning = false;
  #life = 0;
  #timer = 0;
  /** The daemon's clock less the world's. */
  #skewMs = 0;

  constructor(settings: Settings, world: DaemonWorld) {
    this.#world = world;
    this.#settings = settings;
    this.#state = newBrokerState(settings, 0);
    const { timeline, faults, random, services } = world;
    this.#gauge = world.gauge(() => this.clock());
    this.clients = new Clients({ timeline, faults, random, services, post: (event) => this.post(event) });
  }

  get state(): BrokerState {
    return this.#state;
  }

  get settings(): Settings {
    return this.#settings;
  }

  get memory(): BrokerMemory {
    return this.#memory;
  }

  get life(): number {
    return this.#life;
  }

  clock(): number {
    return this.#world.timeline.now + this.#skewMs;
  }

  jump(byMs: number): void {
    this.#skewMs += byMs;
    this.post({ type: 'Ticked' });
  }

  start(): void {
    this.#life += 1;
    this.#state = newBrokerState(this.#settings, this.clock(), this.#memory);
    this.post({ type: 'Ticked' });
    this.#sample();
    for (const id of [...this.#world.services.keys()].sort()) this.#probe(id);
  }

  /** Nothing it had begun is heard of again; what it saved is there for the next. */
  kill(): void {
    this.#life += 1;
    this.#pending = [];
    this.clients.loseAll();
  }

  apply(settings: Settings): void {
    this.#settings = settings;
    this.post({ type: 'ConfigApplied', settings });
  }

  post(event: CoreEvent): void {
    this.#pending.push(event);
    if (this.#turning) return;
    this.#turning = true;
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) this.#turn(next);
    this.#turning = false;
  }

  #turn(event: CoreEvent): void {
    const clock = this.clock();
    const step = this.#world.step ?? realStep;
    const { commands, wakeAt } = step(this.#state, event, clock);
    this.#world.watch({ at: this.#world.timeline.now, clock, event, commands, wakeAt });
    for (const command of commands) {
      this.#world.between(command);
      this.#execute(command);
    }
    this.#sleepUntil(wakeAt);
  }

  #sleepUntil(wakeAt: number | null): void {
    this.#timer += 1;
    const timer = this.#timer;
    if (wakeAt === null) return;
    this.#after(Math.max(1, wakeAt - this.clock()), () => {
      if (this.#timer === timer) this.post({ type: 'Ticked' });
    });
  }

  /** In this life of the daemon only. */
  #after(delayMs: number, act: () => void): void {
    const life = this.#life;
    this.#world.timeline.after(delayMs, () => {
      if (this.#life === life) act();
    });
  }

  #sample(): void {
    this.#measure();
    this.#after(SAMPLE_MS, () => this.#sample());
  }

  #measure(): void {
    const life = this.#life;
    this.#gauge.measure((reading, error) => {
      if (this.#life === life) this.post({ type: 'CardMeasured', reading, error });
    });
  }

  #probe(id: string): void {
    const service = this.#world.services.get(id);
    if (service === undefined) return;
    const startedAt = this.clock();
    const busy = service.working > 0 && this.#world.faults.strikes('silence');
    this.#after(busy ? PROBE_TIMEOUT_MS : this.#world.random.whole(1, 30), () => {
      const result = busy ? 'timed_out' : service.alive ? 'good' : 'bad';
      const error = result === 'good' ? null : result === 'bad' ? 'connection refused' : 'no answer';
      this.post({ type: 'ProbeEnded', consumer: service.plan.id, result, error, startedAt });
    });
    this.#after(PROBE_MS, () => this.#probe(id));
  }

  #execute(command: Command): void {
    switch (command.type) {
      case 'AdmitJob':
        this.clients.admit(command);
        return;
      case 'GrantJob':
      case 'RetryJob':
        this.clients.run(command.jobId);
        return;
      case 'RefuseJob':
        this.clients.refuse(command);
        return;
      case 'AbortJob':
        this.clients.abort(command);
        return;
      case 'PassAnswer':
        this.clients.pass(command);
        return;
      case 'MeasureCard':
        this.#measure();
        return;
      case 'SaveMemory':
        this.#memory = command.memory;
        return;
      case 'AnswerOperator':
      case 'RecordFact':
        return;
      default:
        this.#call(command);
    }
  }

  /** The slow ones: each is heard of within its own time limit. */
  #call(
    command: Extract<Command, { type: 'StartLoad' | 'StartUnload' | 'StartUnit' | 'StopUnit' | 'AskConsumer' }>,
  ): void {
    const { services } = this.#world;
    switch (command.type) {
      case 'StartLoad':
      case 'StartUnload': {
        const { target, timeoutMs } = command;
        const type = command.type === 'StartLoad' ? 'LoadEnded' : 'UnloadEnded';
        const said = this.#once(timeoutMs, (error) => this.post({ type, target, error }));
        const service = services.get(target.consumer);
        if (service === undefined) said('unknown consumer');
        else if (type === 'LoadEnded') service.load(modelOf(target), said);
        else service.unload(modelOf(target), said);
        return;
      }
      case 'StartUnit':
      case 'StopUnit': {
        const { consumer, timeoutMs } = command;
        const type = command.type === 'StartUnit' ? 'UnitStarted' : 'UnitStopped';
        const said = this.#once(timeoutMs, (error) => this.post({ type, consumer, error }));
        const service = services.get(consumer);
        if (type === 'UnitStarted') service?.start(said);
        else service?.stop(said);
        return;
      }
      case 'AskConsumer':
        this.#ask(command.consumer);
    }
  }

  #once(timeoutMs: number, tell: Said): Said {
    const life = this.#life;
    let told = false;
    const said: Said = (error) => {
      if (told || this.#life !== life) return;
      told = true;
      tell(error);
    };
    this.#after(timeoutMs, () => said(`no answer within ${timeoutMs} ms`));
    return said;
  }

  #ask(consumer: ConsumerId): void {
    const service = this.#world.services.get(consumer);
    const silent = service === undefined || !service.alive || this.#world.faults.strikes('silence');
    // By the core's clock, as the executor says it: the daemon's own may have gone back.
    const startedAt = this.#state.now;
    this.#after(silent ? ASK_TIMEOUT_MS : this.#world.random.whole(1, 20), () => {
      this.post({ type: 'ConsumerAsked', consumer, answer: silent ? null : (service?.answer() ?? null), startedAt });
    });
  }
}

function modelOf(target: Target): string {
  return target.model ?? '';
}

export type { OperatorResult };
