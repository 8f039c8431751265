/**
 * Where room is made: nobody is granted or loaded unless it fits by the newest reading that the core was given; only a
 * resident target runs, or one that loads by its job; nobody leaves who is pinned, works for somebody else, or is
 * spared while others would do.
 */
import type { Command } from '../../src/core/commands.js';
import type { CoreEvent } from '../../src/core/events.js';
import { type GpuReading, type Residency, type Target, targetName } from '../../src/core/vocabulary.js';
import type { StepRecord } from '../daemon.js';
import { type Bench, type Judge, promisesOf } from './court.js';
import { Residencies } from './residencies.js';

const READING_LIFE_MS = 5000;

export class RoomJudge implements Judge {
  readonly name = 'room';
  readonly #bench: Bench;
  readonly #residencies = new Residencies();
  readonly #pinned = new Set<string>();
  readonly #foreign = new Map<string, number>();
  #newest: GpuReading | null = null;
  #clock = 0;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  see({ event, commands, ...record }: StepRecord): void {
    this.#note(event);
    // As the core does: a clock that goes back stands still.
    this.#clock = Math.max(this.#clock, record.clock);
    const clock = this.#clock;
    const before = new Map<string, Residency>();
    for (const command of commands) {
      if (command.type === 'RecordFact' && command.fact.type === 'target') {
        const name = targetName(command.fact.target);
        before.set(name, command.fact.from);
        if (command.fact.to === 'evicting') this.#judgeVictim(command.fact);
      }
      this.#residencies.see(command);
      // Of one that is down nobody knows any more what it works on.
      if (command.type === 'RecordFact' && command.fact.type === 'consumer' && command.fact.health === 'down') {
        this.#foreign.delete(command.fact.consumer);
      }
      if (promisesOf(this.#bench.world).makesRoom) this.#judge(command, before, clock);
    }
  }

  #note(event: CoreEvent): void {
    if (event.type === 'CardMeasured' && event.reading !== null) {
      if (this.#newest === null || event.reading.startedAt >= this.#newest.startedAt) this.#newest = event.reading;
    }
    if (event.type === 'ConsumerAsked' && event.answer?.work != null) {
      this.#foreign.set(event.consumer, event.answer.work);
    }
    if (event.type === 'OperatorAsked') {
      if (event.action.kind === 'pin') this.#pinned.add(targetName(event.action.target));
      if (event.action.kind === 'unpin') this.#pinned.delete(targetName(event.action.target));
    }
    if (event.type !== 'ConfigApplied') return;
    for (const id of this.#bench.world.services.keys()) {
      if ([...event.settings.consumers.keys()].some((known) => known === id)) continue;
      this.#residencies.forget(id);
      this.#foreign.delete(id);
    }
  }

  #judge(command: Command, before: ReadonlyMap<string, Residency>, clock: number): void {
    if (command.type === 'GrantJob' || command.type === 'RetryJob') {
      const job = this.#bench.world.daemon.state.jobs.get(command.jobId);
      if (job === undefined) return;
      this.#judgeGrant({ consumer: job.consumer, model: job.model }, before, clock, job.id);
    }
    if (command.type === 'StartLoad') this.#judgeFit(command.target, false, true, clock, 'load');
    if (command.type === 'StopUnit') this.#judgeStop(command.consumer);
  }

  #judgeGrant(target: Target, before: ReadonlyMap<string, Residency>, clock: number, id: string): void {
    const name = targetName(target);
    const residency = this.#residencies.of(name);
    const settings = this.#bench.world.daemon.settings.consumers.get(target.consumer);
    const loads = before.get(name) !== undefined && residency === 'loading';
    if (residency !== 'resident' && !(loads && settings?.loads !== 'by_call')) {
      this.#complain(`${id} was granted on ${name}, which is ${residency}`);
    }
    this.#judgeFit(target, true, residency !== 'resident', clock, id);
  }

  /** Cards whose reading says nothing, or is too old, are judged by nobody. */
  #judgeFit(target: Target, runs: boolean, loads: boolean, clock: number, who: string): void {
    const { daemon } = this.#bench.world;
    const reading = this.#newest;
    const settings = daemon.settings.consumers.get(target.consumer);
    if (reading === null || settings === undefined || clock - reading.sampledAt > READING_LIFE_MS) return;
    const learned = daemon.memory.targets[targetName(target)];
    const declared = (target.model === null ? undefined : settings.models.get(target.model)) ?? settings.declared;
    const residentMib = learned?.resident?.mib ?? declared.residentMib;
    const runMib = learned?.run?.mib ?? declared.runMib;
    if (residentMib === null || runMib === null) return;
    for (const index of settings.cards) {
      const card = reading.cards.find((one) => one.index === index);
      if (card?.freeMib == null || card.totalMib === null || card.freeMib > card.totalMib) continue;
      const own = (reading.processes ?? []).filter((use) => use.card === index && use.consumer === target.consumer);
      const heldMib = settings.swaps === 'models' ? 0 : own.reduce((sum, use) => sum + (use.usedMib ?? 0), 0);
      const loadMib = loads ? Math.max(0, residentMib / settings.cards.length - heldMib) : 0;
      const needMib = loadMib + (runs ? runMib / settings.cards.length : 0);
      // Without a list the core may know of residue what this judge does not.
      if (reading.processes === null && loads) continue;
      if (card.freeMib - daemon.settings.reserveMib + 2 < needMib) {
        this.#complain(
          `${who}: ${targetName(target)} needs ${Math.round(needMib)} MiB of ${card.freeMib} on card ${index}`,
        );
      }
    }
  }

  #isPinned(target: Target): boolean {
    const settings = this.#bench.world.daemon.settings.consumers.get(target.consumer);
    const declared = target.model === null ? settings?.declared : settings?.models.get(target.model);
    return this.#pinned.has(targetName(target)) || declared?.pinned === true || settings?.declared.pinned === true;
  }

  #judgeVictim({ target, reason }: Extract<import('../../src/core/facts.js').Fact, { type: 'target' }>): void {
    if (reason.code === 'asked_by_operator') return;
    if (reason.code !== 'evicted_for') {
      this.#complain(`${targetName(target)} leaves without a reason (${reason.code})`);
      return;
    }
    if (reason.job === null) return;
    if (this.#isPinned(target)) this.#complain(`${targetName(target)} is pinned and leaves for ${reason.job}`);
    const foreign = this.#foreign.get(target.consumer) ?? 0;
    const settings = this.#bench.world.daemon.settings.consumers.get(target.consumer);
    if (settings?.asksForeignWork && foreign > 0) {
      this.#complain(`${targetName(target)} leaves although it said that ${foreign} pieces of work are there`);
    }
    if (reason.for !== null) this.#judgeSpared(target, reason.for, reason.needMib - (reason.freeMib ?? 0));
  }

  /** `can_coexist_with` is broken only if those who may leave do not hold enough, by the list. */
  #judgeSpared(victim: Target, wanted: Target, missingMib: number): void {
    const { daemon } = this.#bench.world;
    const spares = daemon.settings.consumers.get(wanted.consumer)?.canCoexistWith;
    const reading = this.#newest;
    if (spares?.has(victim.consumer) !== true || reading?.processes == null) return;
    if (daemon.settings.consumers.get(wanted.consumer)?.cards.length !== 1) return;
    let couldMib = 0;
    for (const name of this.#residencies.having('resident')) {
      const consumer = daemon.state.consumers.get(name.split('/')[0] as Target['consumer']);
      if (consumer === undefined || spares.has(consumer.id) || consumer.id === wanted.consumer) continue;
      if (consumer.settings.swaps === 'models' || consumer.settings.asksForeignWork) continue;
      if (!consumer.settings.unloadsByCall || this.#isPinned({ consumer: consumer.id, model: null })) continue;
      if (consumer.settings.cards.join() !== daemon.settings.consumers.get(wanted.consumer)?.cards.join()) continue;
      const own = reading.processes.filter((use) => use.consumer === consumer.id);
      couldMib += Math.max(0, own.reduce((sum, use) => sum + (use.usedMib ?? 0), 0) - 1000);
    }
    if (couldMib > missingMib && missingMib > 0) {
      this.#complain(`${targetName(victim)} is spared and leaves, others could give ${couldMib} of ${missingMib} MiB`);
    }
  }

  /** Stopping the unit takes all that its process holds. */
  #judgeStop(consumer: Target['consumer']): void {
    for (const name of this.#residencies.having('resident')) {
      const [id, ...rest] = name.split('/');
      const target = { consumer, model: rest.length === 0 ? null : rest.join('/') };
      if (id === consumer && this.#isPinned(target)) this.#complain(`${name} is pinned and its unit is stopped`);
    }
  }

  #complain(text: string): void {
    this.#bench.complain(this.name, text);
  }

  reborn(): void {
    this.#residencies.forgetAll();
    this.#foreign.clear();
    this.#newest = null;
    this.#clock = 0;
  }
}
