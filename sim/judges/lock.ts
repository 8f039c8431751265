/**
 * Under a lock: one grant at a time for all consumers, first come first served; nothing is loaded, unloaded, started or
 * stopped while a grant is out, and one such operation at a time. Nobody's running work is cut by any policy.
 */
import type { Command } from '../../src/core/commands.js';
import type { CoreEvent } from '../../src/core/events.js';
import { type ConsumerId, type JobId, targetName, type WaitReason } from '../../src/core/vocabulary.js';
import type { StepRecord } from '../daemon.js';
import { type Bench, type Judge, promisesOf } from './court.js';
import { Residencies } from './residencies.js';

/** Who waits for one of these has given the lock to those behind. */
const ASIDE: readonly WaitReason['code'][] = ['no_room', 'foreign_work', 'protected', 'cooling_down', 'state_unknown'];

export class LockJudge implements Judge {
  readonly name = 'lock';
  readonly #bench: Bench;
  readonly #out = new Set<JobId>();
  readonly #waiting = new Set<JobId>();
  /** Who waited while his consumer could not take him. */
  readonly #unready = new Set<JobId>();
  readonly #residencies = new Residencies();
  /** Targets by their operation's first command. */
  readonly #operations = new Set<string>();
  /** Which answered out of memory in this step: their grants are back unless they are passed on or aborted. */
  #ranOut: JobId | null = null;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  see({ event, commands }: StepRecord): void {
    this.#noteEvent(event);
    if (this.#ranOut !== null) {
      const id = this.#ranOut;
      const stays = commands.some((one) => (one.type === 'PassAnswer' || one.type === 'AbortJob') && one.jobId === id);
      if (!stays) this.#out.delete(id);
    }
    for (const command of commands) this.#see(command);
    this.#noteUnready();
  }

  #noteUnready(): void {
    const { state } = this.#bench.world.daemon;
    for (const consumer of state.consumers.values()) {
      if (consumer.health === 'up') continue;
      for (const id of this.#waiting) if (state.jobs.get(id)?.consumer === consumer.id) this.#unready.add(id);
    }
  }

  #noteEvent(event: CoreEvent): void {
    this.#ranOut = event.type === 'OutOfMemorySeen' && this.#out.has(event.jobId) ? event.jobId : null;
    if (event.type === 'JobArrived') this.#waiting.add(event.jobId);
    if (event.type !== 'ConfigApplied') return;
    for (const id of this.#bench.world.services.keys()) {
      if ([...event.settings.consumers.keys()].some((known) => known === id)) continue;
      this.#residencies.forget(id);
      for (const name of this.#operations) if (name.split('/')[0] === id) this.#operations.delete(name);
    }
  }

  #see(command: Command): void {
    this.#residencies.see(command);
    switch (command.type) {
      case 'GrantJob':
      case 'RetryJob':
        this.#granted(command.jobId, command.type === 'RetryJob');
        return;
      case 'StartUnload':
        this.#judgeCut(command.target.consumer);
        this.#begins(targetName(command.target));
        return;
      case 'StartLoad':
        this.#begins(targetName(command.target));
        return;
      case 'StopUnit':
        this.#judgeCut(command.consumer);
        this.#begins(command.consumer);
        return;
      case 'StartUnit':
        this.#begins(command.consumer);
        return;
      case 'RecordFact':
        if (command.fact.type === 'job' && command.fact.change === 'ended') this.#waiting.delete(command.fact.job.id);
        if (command.fact.type === 'job' && command.fact.change === 'work_over') this.#out.delete(command.fact.job.id);
        if (command.fact.type === 'target') this.#settle(targetName(command.fact.target));
        return;
      default:
    }
  }

  #settle(name: string): void {
    const residency = this.#residencies.of(name);
    if (residency === 'evicting' || residency === 'loading') return;
    for (const open of this.#operations) {
      if (open === name || open === name.split('/')[0]) this.#operations.delete(open);
    }
  }

  #granted(id: JobId, again: boolean): void {
    const { world, complain } = this.#complainer();
    if (promisesOf(world).locks) {
      if (this.#out.size > 0) complain(`${id} was granted while ${[...this.#out].join(' ')} had the lock`);
      if (this.#operations.size > 0) complain(`${id} was granted while ${[...this.#operations].join(' ')} was moved`);
      if (!again) this.#judgeOrder(id);
    }
    this.#waiting.delete(id);
    this.#out.add(id);
  }

  #judgeOrder(id: JobId): void {
    const { world, complain } = this.#complainer();
    for (const other of this.#waiting) {
      if (other === id) return;
      const job = world.daemon.state.jobs.get(other);
      if (job === undefined || this.#unready.has(other)) continue;
      // Of many reasons only the first and the last are kept.
      const wentAside = job.aside !== null || job.reasons.some(({ reason }) => ASIDE.includes(reason.code));
      if (!wentAside) complain(`${id} overtook ${other}`);
    }
  }

  /** Whatever the policy. */
  #judgeCut(consumer: ConsumerId): void {
    const { world, complain } = this.#complainer();
    const runs = [...this.#out].filter((id) => world.daemon.state.jobs.get(id)?.consumer === consumer);
    if (runs.length > 0) complain(`${consumer} is asked to leave while ${runs.join(' ')} runs on it`);
  }

  #begins(name: string): void {
    const { world, complain } = this.#complainer();
    if (!promisesOf(world).locks) return;
    if (this.#out.size > 0) complain(`${name} is moved while ${[...this.#out].join(' ')} has the lock`);
    const others = [...this.#operations].filter((open) => open.split('/')[0] !== name.split('/')[0]);
    if (others.length > 0) complain(`${name} is moved while ${others.join(' ')} is`);
    this.#operations.add(name);
  }

  #complainer() {
    const { world } = this.#bench;
    return { world, complain: (text: string) => this.#bench.complain(this.name, text) };
  }

  reborn(): void {
    this.#out.clear();
    this.#waiting.clear();
    this.#unready.clear();
    this.#operations.clear();
    this.#residencies.forgetAll();
  }

  finish(): void {
    if (this.#out.size > 0) this.#bench.complain(this.name, `at rest ${[...this.#out].join(' ')} still has a grant`);
    for (const service of this.#bench.world.services.values()) {
      // What a daemon before this one began, or others' work, is not in this one's hands.
      if (
        service.cuts > 0 &&
        this.#bench.world.faults.hasOnly(['unload_refused', 'run_hangs', 'client_leaves', 'flood', 'hungry'])
      )
        this.#bench.complain(this.name, `${service.plan.id} had ${service.cuts} runs cut by an unload`);
    }
  }
}
