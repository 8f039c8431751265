/**
 * Nobody waits past his bound: `queue.timeout` always; and once nothing goes wrong any more, everybody ends within
 * `restBoundMs` (`world.ts`), what was stuck has healed, every operator has his answer, and what the broker believes to
 * be absent holds nothing. Everybody who waits has a reason. The core does not wake itself in vain.
 */
import { reasonOf } from '../../src/core/waiting.js';
import type { StepRecord } from '../daemon.js';
import type { Bench, Judge } from './court.js';

const SLACK_MS = 1500;
const VAIN_WAKES_MAX = 50;
/** Looking at everybody in a long queue after every step would cost more than the core does. */
const REASONS_LOOKED_AT = 12;

export class WaitsJudge implements Judge {
  readonly name = 'waits';
  readonly #bench: Bench;
  readonly #queuedAt = new Map<string, number>();
  readonly #asked = new Map<number, number>();
  #vainWakes = 0;
  #steps = 0;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  see(record: StepRecord): void {
    this.#steps += 1;
    this.#judgeWakes(record);
    this.#judgeReasons();
    const { event, clock, commands } = record;
    if (event.type === 'JobArrived') this.#queuedAt.set(event.jobId, clock);
    if (event.type === 'OperatorAsked' && 'request' in event.action) this.#asked.set(event.action.request, 0);
    for (const command of commands) {
      if (command.type === 'AnswerOperator') this.#answered(command.request);
      if (command.type !== 'RecordFact' || command.fact.type !== 'job') continue;
      const { change, job } = command.fact;
      if (change === 'granted' || (change === 'ended' && job.grantedAt === null))
        this.#judgeWait(job.id, job.class, clock);
    }
  }

  #judgeWait(id: string, jobClass: 'interactive' | 'normal' | 'batch', clock: number): void {
    const { daemon, faults } = this.#bench.world;
    const since = this.#queuedAt.get(id);
    this.#queuedAt.delete(id);
    const limitMs = daemon.settings.queueTimeoutMs[jobClass];
    if (since === undefined || limitMs === null || faults.has('clock_forward') || faults.has('clock_backward')) return;
    if (clock - since > limitMs + SLACK_MS)
      this.#complain(`${id} waited ${clock - since} ms, queue.timeout is ${limitMs}`);
  }

  #judgeWakes({ event, commands, wakeAt, clock }: StepRecord): void {
    const vain = event.type === 'Ticked' && commands.length === 0 && wakeAt !== null && wakeAt <= clock;
    this.#vainWakes = vain ? this.#vainWakes + 1 : 0;
    const { faults } = this.#bench.world;
    if (this.#vainWakes === VAIN_WAKES_MAX && !faults.has('clock_backward')) {
      this.#complain(`it woke itself ${VAIN_WAKES_MAX} times in a row for nothing`);
    }
  }

  #judgeReasons(): void {
    const { state } = this.#bench.world.daemon;
    let looked = 0;
    for (const job of state.queue) {
      looked += 1;
      if (looked > REASONS_LOOKED_AT) return;
      if (reasonOf(state, job) === null) this.#complain(`${job.id} waits without a reason`);
    }
  }

  #answered(request: number): void {
    const times = (this.#asked.get(request) ?? 0) + 1;
    this.#asked.set(request, times);
    if (times > 1) this.#complain(`operator's request ${request} was answered ${times} times`);
  }

  #complain(text: string): void {
    this.#bench.complain(this.name, text);
  }

  reborn(): void {
    this.#queuedAt.clear();
    this.#asked.clear();
  }

  finish(): void {
    const { world } = this.#bench;
    const { state } = world.daemon;
    for (const [request, times] of this.#asked) {
      if (times === 0) this.#complain(`operator's request ${request} was never answered`);
    }
    if (world.atRest) {
      this.#judgeBeliefs();
      return;
    }
    for (const job of state.jobs.values()) {
      this.#complain(`${job.id} is ${job.phase} at the bound: ${JSON.stringify(reasonOf(state, job))}`);
    }
    for (const target of state.targets.values()) {
      if (target.residency === 'stuck') this.#complain(`${target.name} is still stuck at the bound`);
    }
    for (const { id, parked, health } of state.consumers.values()) {
      const runs = world.services.get(id)?.alive === true;
      if (runs && (parked || health !== 'up')) this.#complain(`${id} runs and is not taken for up at the bound`);
    }
    if (state.operation !== null) this.#complain(`${state.operation.target} is still under way at the bound`);
    if (state.errands.length > 0) this.#complain('an errand is still there at the bound');
  }

  #judgeBeliefs(): void {
    const { world } = this.#bench;
    if (!world.plan.list) return;
    for (const { target, name, residency } of world.daemon.state.targets.values()) {
      const service = world.services.get(target.consumer);
      // What others load into a consumer whose models swap is asked for only when somebody needs the room.
      if (service === undefined || service.plan.sort === 'models') continue;
      const heldMib = world.cards.heldAs(target.consumer, `model ${target.model ?? ''}`);
      const free = residency === 'absent' || residency === 'parked';
      if (free && heldMib > 0) this.#complain(`${name} is taken for ${residency} and holds ${heldMib} MiB at rest`);
      // Of a size that nobody told, what is left may be taken for all of it.
      const known = world.daemon.state.consumers.get(target.consumer)?.everAttributed === true;
      if (residency === 'resident' && heldMib === 0 && known && !world.faults.has('sizes_unknown'))
        this.#complain(`${name} is taken for resident and holds nothing at rest`);
    }
  }
}
