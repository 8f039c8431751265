/**
 * The pretend proxy: the life of each request from its headers to its end, as the relay tells it to the broker. Keeps
 * what the broker was told of each job, and sends to the services what the broker granted.
 */
import type { CommandOf } from '../src/core/commands.js';
import type { CoreEvent } from '../src/core/events.js';
import { type JobId, type JobOutcome, jobId } from '../src/core/vocabulary.js';
import type { Faults } from './faults.js';
import type { PlannedJob } from './plan.js';
import type { Random } from './random.js';
import type { PretendService } from './service.js';
import type { Ears } from './service-works.js';
import type { Timeline } from './timeline.js';

/** The relay's own limit on a run, and how long a broken-off one is believed to go on where nobody can tell. */
export const RUN_LIMIT_MS = 12_000;

interface Client {
  readonly id: JobId;
  readonly plan: PlannedJob;
  phase: 'announced' | 'waiting' | 'running' | 'held' | 'over';
  /** Which try of its run is under way: what an earlier one says is void. */
  run: number;
  byteSeen: boolean;
  answered: boolean;
}

export interface ClientsWorld {
  readonly timeline: Timeline;
  readonly faults: Faults;
  readonly random: Random;
  readonly services: ReadonlyMap<string, PretendService>;
  readonly post: (event: CoreEvent) => void;
}

const DONE: JobOutcome = { end: 'done', code: null, message: null };

export class Clients {
  readonly #world: ClientsWorld;
  readonly #clients = new Map<JobId, Client>();
  #made = 0;
  /** Raised when the daemon is killed: all connections are gone, and so is everything that was going to be said. */
  #life = 1;

  constructor(world: ClientsWorld) {
    this.#world = world;
  }

  arrive(plan: PlannedJob): void {
    this.#made += 1;
    const id = jobId(`j${this.#made}`);
    const client: Client = { id, plan, phase: 'announced', run: 0, byteSeen: false, answered: false };
    this.#clients.set(id, client);
    const job = { id, consumer: plan.service, capability: null, class: plan.class, client: '127.0.0.1' };
    this.#world.post({ type: 'JobAnnounced', job });
    const { faults, random } = this.#world;
    // Work that goes on needs somebody who breaks it off.
    const impatient = faults.has('work_goes_on') && !faults.calm && random.chance(0.4);
    if (faults.strikes('client_leaves') || impatient)
      this.#after(this.#world.random.whole(1, 9000), () => this.#leave(client));
  }

  #after(delayMs: number, act: () => void): void {
    const life = this.#life;
    this.#world.timeline.after(delayMs, () => {
      if (this.#life === life) act();
    });
  }

  #leave(client: Client): void {
    if (client.phase !== 'over') this.#world.post({ type: 'ClientLeft', jobId: client.id });
  }

  admit({ jobId: id }: CommandOf<'AdmitJob'>): void {
    const client = this.#clients.get(id);
    if (client === undefined) return;
    this.#after(client.plan.uploadMs, () => {
      if (client.phase !== 'announced') return;
      client.phase = 'waiting';
      const model = client.plan.model === '' ? null : client.plan.model;
      this.#world.post({ type: 'JobArrived', jobId: id, model });
    });
  }

  refuse({ jobId: id }: CommandOf<'RefuseJob'>): void {
    this.#close(id);
  }

  #close(id: JobId): void {
    const client = this.#clients.get(id);
    if (client !== undefined) client.phase = 'over';
    this.#clients.delete(id);
  }

  /** Also for `RetryJob`: the same body once more. */
  run(id: JobId): void {
    const client = this.#clients.get(id);
    const service = client === undefined ? undefined : this.#world.services.get(client.plan.service);
    if (client === undefined || service === undefined) return;
    client.phase = 'running';
    client.run += 1;
    const run = client.run;
    const isNow = (): boolean => client.run === run && client.phase === 'running';
    const { model, runMs, streams } = client.plan;
    this.#after(2, () => {
      if (isNow()) service.run({ id, model, runMs, streams }, this.#earsOf(client, isNow));
    });
    this.#after(RUN_LIMIT_MS, () => {
      // ComfyUI has no limit while its queue shows the job; here it is as bounded as all others.
      if (isNow()) this.#runTooLong(client, service);
    });
  }

  #runTooLong(client: Client, service: PretendService): void {
    const outcome: JobOutcome = { end: 'failed', code: 'consumer_timeout', message: 'timeouts.run is over' };
    this.#end(client, outcome, false);
    this.#breakOff(client.id, service);
  }

  #breakOff(id: JobId, service: PretendService): void {
    const life = this.#life;
    service.abort(id, () => {
      if (this.#life === life) this.#world.post({ type: 'WorkEnded', jobId: id });
    });
  }

  #earsOf(client: Client, isNow: () => boolean): Ears {
    const life = this.#life;
    const hears = (act: () => void) => (): void => {
      if (this.#life === life && isNow()) act();
    };
    return {
      firstByte: hears(() => {
        client.byteSeen = true;
        this.#world.post({ type: 'FirstByteSeen', jobId: client.id });
      }),
      answered: hears(() => {
        client.answered = true;
        this.#world.post({ type: 'AnswerSent', jobId: client.id });
      }),
      done: hears(() => this.#end(client, DONE, true)),
      failed: (message) => hears(() => this.#end(client, { end: 'failed', code: 'consumer_failed', message }, true))(),
      outOfMemory: hears(() => this.#ranOut(client)),
    };
  }

  #ranOut(client: Client): void {
    const message = 'CUDA out of memory';
    if (client.byteSeen) {
      this.#end(client, { end: 'failed', code: 'gpu_out_of_memory', message }, true);
      return;
    }
    client.phase = 'held';
    const canRetry = this.#world.faults.has('job_peaks') ? this.#world.random.chance(0.8) : true;
    this.#world.post({ type: 'OutOfMemorySeen', jobId: client.id, canRetry, message });
  }

  pass({ jobId: id }: CommandOf<'PassAnswer'>): void {
    const client = this.#clients.get(id);
    if (client === undefined) return;
    this.#after(2, () => this.#end(client, DONE, true));
  }

  #end(client: Client, outcome: JobOutcome, workOver: boolean): void {
    if (client.phase === 'over') return;
    this.#close(client.id);
    this.#world.post({ type: 'JobEnded', jobId: client.id, outcome, workOver });
  }

  abort({ jobId: id }: CommandOf<'AbortJob'>): void {
    const client = this.#clients.get(id);
    const service = client === undefined ? undefined : this.#world.services.get(client.plan.service);
    this.#close(id);
    if (service !== undefined) this.#breakOff(id, service);
  }

  /** The daemon was killed: the services notice that their callers are gone, nobody hears of it. */
  loseAll(): void {
    this.#life += 1;
    for (const client of this.#clients.values()) {
      client.phase = 'over';
      this.#world.services.get(client.plan.service)?.abort(client.id, () => {});
    }
    this.#clients.clear();
  }
}
