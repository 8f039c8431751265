/**
 * The world of one seed: its cards, services and daemon, and what happens to them from outside: jobs, deaths,
 * strangers, others' work, operators, new configurations, clocks. It lets time pass until everything has come to rest,
 * or until it should have.
 */
import type { Command } from '../src/core/commands.js';
import type { OperatorAction } from '../src/core/events.js';
import type { Settings } from '../src/core/settings.js';
import { POLICY_NAMES, type PolicyName, type Target } from '../src/core/vocabulary.js';
import { Cards } from './cards.js';
import { Daemon, type StepFunction, type StepRecord } from './daemon.js';
import { type FaultName, Faults } from './faults.js';
import { Gauge } from './gauge.js';
import { type PlanOptions, planWorld, type ServicePlan, type WorldPlan } from './plan.js';
import { Random } from './random.js';
import { restBoundMs } from './rest-bound.js';
import { PretendService } from './service.js';
import { Timeline } from './timeline.js';

export interface WorldOptions extends PlanOptions {
  readonly step?: StepFunction;
  readonly watch: (world: World, record: StepRecord) => void;
}

const LOOK_MS = 250;
/** After everything is at rest the readings may still teach something. */
const AFTERGLOW_MS = 5000;
const MOST_STRANGERS = 4;

export class World {
  readonly plan: WorldPlan;
  readonly faults: Faults;
  readonly cards: Cards;
  readonly timeline = new Timeline();
  readonly services = new Map<string, PretendService>();
  readonly daemon: Daemon;
  readonly mix: readonly FaultName[];
  /** World time at which it should all have come to rest. */
  boundMs = Infinity;
  atRest = false;
  readonly #random: Random;
  #strangers = 0;
  #requests = 0;
  #daemonRuns = true;
  /** The end of what was still going wrong when the calm began. */
  #disturbedUntil = 0;

  constructor(options: WorldOptions) {
    this.plan = planWorld(options);
    this.mix = options.mix;
    this.#random = new Random(options.seed, 'world');
    this.faults = new Faults(options.mix, new Random(options.seed, 'faults'));
    this.cards = new Cards(this.plan.totalsMib, this.plan.driverMib);
    const { timeline, cards, faults } = this;
    for (const plan of this.plan.services) {
      const random = new Random(options.seed, plan.id);
      this.services.set(plan.id, new PretendService(plan, { timeline, cards, faults, random }));
    }
    const serviceIds = new Set(this.services.keys());
    const gaugeRandom = new Random(options.seed, 'gauge');
    this.daemon = new Daemon(this.plan.settings, {
      timeline,
      faults,
      random: new Random(options.seed, 'daemon'),
      services: this.services,
      gauge: (clock) =>
        new Gauge({ timeline, cards, faults, random: gaugeRandom, list: this.plan.list, clock, serviceIds }),
      watch: (record) => options.watch(this, record),
      between: (command) => this.#between(command),
      ...(options.step === undefined ? {} : { step: options.step }),
    });
  }

  run(): void {
    this.#schedule();
    this.daemon.start();
    while (!this.atRest && this.timeline.now < this.boundMs && this.timeline.advance());
  }

  #schedule(): void {
    const { timeline, faults } = this;
    for (const job of this.plan.jobs) {
      timeline.after(job.at, () => {
        if (this.#daemonRuns) this.daemon.clients.arrive(job);
      });
    }
    for (const fault of ['flood', 'hungry', 'sizes_unknown'] as const) if (faults.has(fault)) faults.note(fault);
    this.#repeat(8000, () => this.#maybeDie());
    this.#repeat(4000, () => this.#maybeForeign());
    this.#repeat(3000, () => this.#maybeOperator());
    this.#once('clock_forward', () => this.daemon.jump(3_600_000));
    this.#once('clock_backward', () => this.#back());
    this.#once('config_changes', () => this.#reconfigure());
    this.#once('config_changes', () => this.#reconfigure());
    this.#once('daemon_killed', () => this.#killDaemon());
    timeline.after(this.plan.calmAt, () => this.#calm());
  }

  /** At a moment of its own before the calm. */
  #once(fault: FaultName, act: () => void): void {
    const at = this.#random.whole(500, this.plan.calmAt - 2000);
    if (!this.faults.has(fault)) return;
    this.timeline.after(at, () => {
      if (!this.#daemonRuns) return;
      this.faults.note(fault);
      act();
    });
  }

  #repeat(everyMs: number, act: () => void): void {
    this.timeline.after(everyMs + this.#random.whole(0, everyMs), () => {
      if (this.faults.calm) return;
      act();
      this.#repeat(everyMs, act);
    });
  }

  /** The worst moment: the broker has decided, the service has not begun. */
  #between(command: Command): void {
    const begins = command.type === 'GrantJob' || command.type === 'StartLoad' || command.type === 'StartUnit';
    if (begins && this.#strangers < MOST_STRANGERS && this.faults.strikes('strangers')) this.#strangerComes();
    const service = this.#serviceOf(command);
    if (service === null || !this.faults.strikes('death')) return;
    this.timeline.after(this.#random.whole(3, 1500), () => this.#die(service));
  }

  #serviceOf(command: Command): PretendService | null {
    if (command.type === 'StartLoad' || command.type === 'StartUnload') {
      return this.services.get(command.target.consumer) ?? null;
    }
    if (command.type === 'StopUnit') return this.services.get(command.consumer) ?? null;
    if (command.type !== 'GrantJob') return null;
    const consumer = this.daemon.state.jobs.get(command.jobId)?.consumer;
    return consumer === undefined ? null : (this.services.get(consumer) ?? null);
  }

  #strangerComes(): void {
    this.#strangers += 1;
    const owner = `stranger${this.#strangers}`;
    const card = this.#random.whole(0, this.plan.totalsMib.length - 1);
    const mib = Math.min(this.#random.whole(1000, 10_000), this.cards.freeMib(card));
    const forMs = this.#random.whole(60_000, 180_000);
    this.cards.take(owner, 'all', [card], mib);
    this.#disturbedUntil = Math.max(this.#disturbedUntil, this.timeline.now + forMs);
    this.timeline.after(forMs, () => this.cards.giveAll(owner));
  }

  #maybeDie(): void {
    const service = this.#random.pick([...this.services.values()]);
    if (this.faults.strikes('death')) this.#die(service);
  }

  /** It comes back by itself, with or without what it had loaded. */
  #die(service: PretendService): void {
    if (!service.alive || this.faults.calm) return;
    service.die();
    const backMs = this.#random.whole(300, 9000);
    const withModel = this.#random.chance(0.5);
    this.#disturbedUntil = Math.max(this.#disturbedUntil, this.timeline.now + backMs);
    this.timeline.after(backMs, () => this.#comeBack(service, withModel));
  }

  #comeBack(service: PretendService, withModel: boolean): void {
    if (service.stopped || service.revive(withModel)) return;
    // No memory for what it loads at its start: systemd tries again.
    this.timeline.after(5000, () => this.#comeBack(service, withModel));
  }

  #maybeForeign(): void {
    const usable = [...this.services.values()].filter(({ plan }) => plan.sort === 'images' || plan.sort === 'models');
    const service = usable[this.#random.whole(0, Math.max(0, usable.length - 1))];
    if (service === undefined || !service.alive || !this.faults.strikes('foreign_work')) return;
    this.#requests += 1;
    const model = this.#random.pick([...service.plan.sizes.keys()]);
    const runMs = this.#random.whole(500, 15_000);
    service.run({ id: `foreign${this.#requests}`, model, runMs, streams: false }, null);
    this.#disturbedUntil = Math.max(this.#disturbedUntil, this.timeline.now + runMs + 5000);
  }

  #maybeOperator(): void {
    if (!this.#daemonRuns || !this.faults.strikes('operators')) return;
    this.daemon.post({ type: 'OperatorAsked', action: this.#anAction(), by: 'operator' });
  }

  #anAction(): OperatorAction {
    this.#requests += 1;
    const request = this.#requests;
    const service = this.#random.pick([...this.services.values()]);
    const model = this.#random.pick([...service.plan.sizes.keys()]);
    const target: Target = { consumer: service.plan.id, model: model === '' ? null : model };
    const kind = this.#random.pick([
      'load',
      'load',
      'evict',
      'evict',
      'pin',
      'unpin',
      'forget',
      'cancel',
      'drain',
      'resume',
    ]);
    if (kind === 'load' || kind === 'evict') {
      return { kind, target, request, timeoutMs: this.#random.pick([null, 2000, 20_000]) };
    }
    if (kind === 'pin' || kind === 'unpin' || kind === 'forget') return { kind, target, request };
    if (kind === 'drain' || kind === 'resume') return { kind };
    const waiting = [...this.daemon.state.jobs.keys()];
    const job = waiting[this.#random.whole(0, Math.max(0, waiting.length - 1))];
    return job === undefined ? { kind: 'resume' } : { kind: 'cancel', job };
  }

  #back(): void {
    // No monotonic clock shows a time before its beginning.
    const backMs = Math.min(this.#random.whole(500, 10_000), this.daemon.clock());
    this.daemon.jump(-backMs);
    this.#disturbedUntil = Math.max(this.#disturbedUntil, this.timeline.now + backMs);
  }

  #reconfigure(): void {
    const { settings } = this.plan;
    const gone = this.#random.pick([...settings.consumers.keys()].sort());
    const policies = POLICY_NAMES.filter((name) => name !== 'swap-aware');
    const changed: Settings = this.#random.pick([
      { ...settings, consumers: new Map([...settings.consumers].filter(([id]) => id !== gone)) },
      { ...settings, policy: this.#random.pick(policies) satisfies PolicyName },
      { ...settings, reserveMib: settings.reserveMib + 500 },
      { ...settings, consumers: new Map([...settings.consumers].map(([id, one]) => [id, pinnedIf(one, id === gone)])) },
    ]);
    this.daemon.apply(changed);
    this.timeline.after(this.#random.whole(500, 8000), () => {
      if (this.#daemonRuns) this.daemon.apply(settings);
    });
  }

  #killDaemon(): void {
    this.#daemonRuns = false;
    this.daemon.kill();
    this.timeline.after(this.#random.whole(200, 3000), () => {
      this.#daemonRuns = true;
      this.daemon.start();
    });
  }

  #calm(): void {
    this.faults.calm = true;
    if (!this.#daemonRuns) {
      this.timeline.after(LOOK_MS, () => this.#calm());
      return;
    }
    this.daemon.apply(this.plan.settings);
    this.daemon.post({ type: 'OperatorAsked', action: { kind: 'resume' }, by: 'operator' });
    for (const service of this.services.values()) this.#unpin(service.plan);
    const beginsAt = Math.max(this.timeline.now, this.#disturbedUntil);
    this.boundMs = beginsAt + restBoundMs(this.plan, this.daemon.state.jobs.size);
    this.timeline.after(Math.max(0, beginsAt - this.timeline.now), () => this.#look(0));
  }

  #unpin({ id, sizes }: ServicePlan): void {
    for (const model of sizes.keys()) {
      this.#requests += 1;
      const target = { consumer: id, model: model === '' ? null : model };
      if (this.daemon.state.targets.get(model === '' ? id : `${id}/${model}`)?.pinnedByOperator === true) {
        this.daemon.post({
          type: 'OperatorAsked',
          action: { kind: 'unpin', target, request: this.#requests },
          by: 'operator',
        });
      }
    }
  }

  #look(restedMs: number): void {
    if (restedMs >= AFTERGLOW_MS) {
      this.atRest = true;
      return;
    }
    this.timeline.after(LOOK_MS, () => this.#look(this.#isQuiet() ? restedMs + LOOK_MS : 0));
  }

  #isQuiet(): boolean {
    const { jobs, operation, errands, targets, consumers } = this.daemon.state;
    const stuck = [...targets.values()].some((target) => target.residency === 'stuck');
    // Whoever was started past the broker is noticed by a later probe.
    const missed = [...consumers.values()].some(
      ({ id, parked, health }) => (parked || health !== 'up') && this.services.get(id)?.alive === true,
    );
    if (missed) return false;
    return jobs.size === 0 && operation === null && errands.length === 0 && !stuck;
  }
}

function pinnedIf<T extends Settings['consumers'] extends ReadonlyMap<unknown, infer C> ? C : never>(
  one: T,
  pinned: boolean,
): T {
  return pinned ? { ...one, declared: { ...one.declared, pinned: true } } : one;
}
