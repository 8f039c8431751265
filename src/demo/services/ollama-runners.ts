/**
 * Which models the stand-in for ollama has on its card: loads, unloads, keep-alive times and its own eviction, with
 * the order and the delays of ollama 0.33 (an unload is a promise; memory comes back later; new loads wait for it;
 * an unload during a load is lost). Owns the runners and what they hold. Never sees a request's content.
 */
import { CardFull } from '../card.js';
import type { ServiceHost } from './host.js';
import type { DemoModel } from './ollama-models.js';
import { Turns } from './turns.js';

/** Weights reach the card at this pace. */
const LOAD_MIB_PER_MS = 6;
/** From the decision to the end of the child process, and from there until the driver shows the memory as free. */
const KILL_MS = 250;
const RECOVERY_MS = 400;
const MOST_PENDING_LOADS = 512;
const MOST_LOADED_MODELS = 3;
/** `setTimeout` counts no further; longer keep-alive times are for ever. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class ServerBusy extends Error {
  override readonly name = 'ServerBusy';
}

export interface Runner {
  readonly model: DemoModel;
  readonly turn: Turns;
  readonly loadMs: number;
  /** Requests that hold or wait for this runner. */
  users: number;
  /** Infinity: for ever. */
  keepAliveMs: number;
  expiresAt: Date;
  timer: NodeJS.Timeout | null;
  leaving: boolean;
}

const FOREVER = new Date('2318-01-01T00:00:00Z');

export class Runners {
  readonly #host: ServiceHost;
  readonly #loaded = new Map<string, Runner>();
  /** One load or unload at a time. */
  readonly #scheduler = new Turns(1);
  readonly #unloads = new Set<Promise<void>>();

  constructor(host: ServiceHost) {
    this.#host = host;
  }

  /** Loaded ones, as `GET /api/ps` lists them; a model appears after its load and stays until its process is gone. */
  list(): readonly Runner[] {
    return [...this.#loaded.values()];
  }

  /** The model's runner, loaded if need be; call `release` when done. The wait and the load end when `signal` aborts. */
  async acquire(model: DemoModel, keepAliveMs: number | null, signal: AbortSignal): Promise<Runner> {
    const running = this.#usable(model);
    const runner = running ?? (await this.#load(model, signal));
    if (running !== null) runner.users += 1;
    if (keepAliveMs !== null) runner.keepAliveMs = keepAliveMs;
    if (runner.timer !== null) clearTimeout(runner.timer);
    return runner;
  }

  release(runner: Runner): void {
    runner.users -= 1;
    if (runner.users === 0) this.#becomeIdle(runner);
    this.#host.changed();
  }

  /** Marks the model and returns at once: the process ends later. A model that is loading is not found, and stays. */
  expire(model: DemoModel): void {
    const runner = this.#loaded.get(model.name);
    if (runner === undefined) return;
    runner.keepAliveMs = 0;
    if (runner.users === 0) this.#becomeIdle(runner);
  }

  /** After an out-of-memory error in a run ollama gives up all its models. */
  expireAll(): void {
    for (const runner of this.#loaded.values()) this.expire(runner.model);
  }

  close(): void {
    for (const runner of this.#loaded.values()) if (runner.timer !== null) clearTimeout(runner.timer);
  }

  #usable(model: DemoModel): Runner | null {
    const runner = this.#loaded.get(model.name);
    return runner === undefined || runner.leaving ? null : runner;
  }

  async #load(model: DemoModel, signal: AbortSignal): Promise<Runner> {
    if (this.#scheduler.waiting >= MOST_PENDING_LOADS) {
      throw new ServerBusy('server busy, please try again.  maximum pending requests exceeded');
    }
    const giveBack = await this.#scheduler.take(signal);
    try {
      // Another request may have loaded it while this one waited.
      const runner = this.#usable(model) ?? (await this.#start(model, signal));
      runner.users += 1;
      return runner;
    } finally {
      giveBack();
    }
  }

  async #start(model: DemoModel, signal: AbortSignal): Promise<Runner> {
    const startedAt = performance.now();
    await Promise.all(this.#unloads);
    while (this.#loaded.size >= MOST_LOADED_MODELS) await this.#evictOne();
    await this.#holdWeights(model);
    const endWork = this.#host.beginWork(`load ${model.name}`);
    try {
      await this.#host.pace(model.vramMib / LOAD_MIB_PER_MS, signal);
    } catch (error) {
      await this.#host.card.drop(model.name);
      throw error;
    } finally {
      endWork();
    }
    const runner: Runner = {
      model,
      turn: new Turns(1),
      loadMs: performance.now() - startedAt,
      users: 0,
      keepAliveMs: 300_000,
      expiresAt: new Date(Date.now() + 300_000),
      timer: null,
      leaving: false,
    };
    this.#loaded.set(model.name, runner);
    this.#host.changed();
    return runner;
  }

  /** Makes room among its own idle models before it gives up. */
  async #holdWeights(model: DemoModel): Promise<void> {
    for (;;) {
      try {
        await this.#host.card.hold(model.name, model.vramMib);
        return;
      } catch (error) {
        const mayRetry = error instanceof CardFull && this.#idleRunner() !== undefined;
        if (!mayRetry) throw error;
        await this.#evictOne();
      }
    }
  }

  /** Not the least recently used: the idle one with the shortest keep-alive time, as ollama does. */
  #idleRunner(): Runner | undefined {
    const idle = this.list().filter((runner) => runner.users === 0 && !runner.leaving);
    return idle.sort((a, b) => a.keepAliveMs - b.keepAliveMs)[0];
  }

  async #evictOne(): Promise<void> {
    await this.#host.until(() => this.#idleRunner() !== undefined || this.#unloads.size > 0, 600_000);
    const idle = this.#idleRunner();
    if (idle !== undefined) this.#startUnload(idle);
    await Promise.all(this.#unloads);
  }

  #becomeIdle(runner: Runner): void {
    if (runner.timer !== null) clearTimeout(runner.timer);
    if (runner.leaving) return;
    if (runner.keepAliveMs === 0) {
      this.#startUnload(runner);
      return;
    }
    const endless = runner.keepAliveMs > LONGEST_TIMER_MS;
    runner.expiresAt = endless ? FOREVER : new Date(Date.now() + runner.keepAliveMs);
    if (endless) return;
    runner.timer = setTimeout(() => {
      if (runner.users === 0) this.#startUnload(runner);
    }, runner.keepAliveMs);
    runner.timer.unref();
  }

  #startUnload(runner: Runner): void {
    if (runner.leaving) return;
    runner.leaving = true;
    const unload = this.#unload(runner)
      // The only way to fail is the service's closing, which takes the memory with it.
      .catch(() => {})
      .finally(() => {
        this.#unloads.delete(unload);
        this.#host.changed();
      });
    this.#unloads.add(unload);
  }

  async #unload(runner: Runner): Promise<void> {
    await this.#host.pace(KILL_MS);
    this.#loaded.delete(runner.model.name);
    this.#host.changed();
    await this.#host.pace(RECOVERY_MS);
    await this.#host.card.drop(runner.model.name);
  }
}
