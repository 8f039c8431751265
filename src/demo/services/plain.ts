/**
 * A plain service on the card, for tests and benchmarks: `POST /run` (loads what is not loaded, then works), `POST
 * /stream`, `POST /load`, `POST /unload`, `GET /health`. Its unload can be made to lie, to hang or to come late, as
 * real ones do. Owns what it holds on its card; refuses whatever comes while it unloads.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CardFull } from '../card.js';
import type { Call } from './call.js';
import { monotonicMs, ServiceHost } from './host.js';
import type { DemoService, DemoServiceOptions } from './service.js';
import { Turns } from './turns.js';

/** `lies`: says yes and keeps the memory. `lateMs`: says yes at once and gives it back so much later. */
export type UnloadManner = 'good' | 'lies' | 'hangs' | { readonly lateMs: number };

export interface PlainOptions extends DemoServiceOptions {
  readonly name: string;
  readonly residentMib: number;
  /** What a run adds. */
  readonly runMib: number;
  /** What stays after an unload, until its process ends. */
  readonly contextMib?: number;
  readonly loadMs?: number;
  readonly runMs?: number;
  /** From the call of `/unload` to the memory and the answer. */
  readonly unloadMs?: number;
  /** Asked at each unload. */
  readonly manner?: () => UnloadManner;
}

export interface PlainService extends DemoService {
  readonly isLoaded: () => boolean;
  /** What came while it unloaded. */
  readonly refused: () => number;
  /** It loads, nobody asked it to. */
  load(): Promise<void>;
  /** It gives its memory back, nobody asked it to. */
  leave(): Promise<void>;
}

const JSON_TYPE = { 'Content-Type': 'application/json' };

class Plain {
  readonly #host: ServiceHost;
  readonly #options: PlainOptions;
  readonly #turns = new Turns(1);
  readonly #streams = new Set<Call>();
  #loaded = false;
  #unloading = false;
  #lateUnload: NodeJS.Timeout | null = null;
  refused = 0;

  constructor(options: PlainOptions) {
    this.#options = options;
    const traits = {
      name: options.name,
      handle: (call: Call) => this.#handle(call),
      failure: (call: Call, error: unknown) => this.#fail(call, error),
      headers: {},
      sendsDate: true,
      bodyLimitBytes: 1024 * 1024,
    };
    this.#host = new ServiceHost(traits, options);
    this.#host.closing.signal.addEventListener('abort', () => this.#cancelLateUnload());
  }

  async listen(): Promise<PlainService> {
    await this.#host.listen(this.#options);
    return Object.assign(this.#host, {
      isLoaded: () => this.#loaded,
      refused: () => this.refused,
      load: () => this.#load(this.#host.closing.signal),
      leave: () => this.#giveBack(),
    });
  }

  async #handle(call: Call): Promise<void> {
    const what = `${call.method} ${call.path}`;
    if (what === 'GET /health') return call.reply(200, JSON_TYPE, '{"status":"ok"}');
    if (what === 'POST /unload') return this.#unload(call);
    if (this.#unloading) {
      this.refused += 1;
      return call.reply(500, JSON_TYPE, '{"error":"unloading"}');
    }
    if (what === 'POST /load') {
      await this.#load(call.signal);
      return call.reply(200, JSON_TYPE, '{"status":"loaded"}');
    }
    if (what === 'POST /run') return this.#run(call);
    if (what === 'POST /stream') return this.#stream(call);
    return call.reply(404, JSON_TYPE, '{"error":"not found"}');
  }

  async #run(call: Call): Promise<void> {
    await call.body();
    await this.#work(call, () => this.#host.pace(this.#options.runMs ?? 10, call.signal));
    await call.reply(200, JSON_TYPE, JSON.stringify({ from: this.#options.name }));
  }

  /** `?events=20`: so many, one each `runMs`. */
  async #stream(call: Call): Promise<void> {
    await call.body();
    const events = Number(call.query.get('events') ?? 5);
    this.#streams.add(call);
    try {
      await this.#work(call, async () => {
        call.startStream(200, { 'Content-Type': 'text/event-stream' });
        for (let event = 1; event <= events; event += 1) {
          await call.write(`data: ${event}\n\n`);
          await this.#host.pace(this.#options.runMs ?? 10, call.signal);
        }
      });
    } finally {
      this.#streams.delete(call);
    }
    await call.end();
  }

  async #work(call: Call, run: () => Promise<void>): Promise<void> {
    const giveBack = await this.#turns.take(call.signal);
    const endWork = this.#host.beginWork(call.path);
    try {
      if (call.ownFault === 'out-of-memory') {
        throw new CardFull({ askedMib: this.#options.residentMib, ...this.#host.card.memory() });
      }
      await this.#load(call.signal);
      await this.#host.card.hold('run', this.#options.runMib);
      await run();
    } finally {
      await this.#host.card.drop('run');
      endWork();
      giveBack();
    }
  }

  async #load(signal: AbortSignal): Promise<void> {
    this.#cancelLateUnload();
    if (this.#loaded) return;
    const { card } = this.#host;
    await card.hold('context', this.#options.contextMib ?? 0);
    await card.hold('weights', this.#options.residentMib - (this.#options.contextMib ?? 0));
    try {
      await this.#host.pace(this.#options.loadMs ?? 10, signal);
    } catch (error) {
      await card.drop('weights');
      throw error;
    }
    this.#loaded = true;
    this.#host.changed();
  }

  async #unload(call: Call): Promise<void> {
    const manner = this.#options.manner?.() ?? 'good';
    for (const stream of this.#streams) stream.reset();
    this.#unloading = true;
    try {
      await this.#host.pace(this.#options.unloadMs ?? 1);
      if (manner === 'hangs') await sleep(2 ** 31 - 1, undefined, { signal: call.signal, ref: false });
      else if (manner === 'good') await this.#giveBack();
      else if (manner !== 'lies') this.#lateUnload = setTimeout(() => void this.#giveBack(), manner.lateMs);
    } finally {
      this.#unloading = false;
    }
    await call.reply(200, JSON_TYPE, '{"status":"unloaded"}');
  }

  async #giveBack(): Promise<void> {
    this.#lateUnload = null;
    this.#loaded = false;
    await this.#host.card.drop('weights');
    this.#host.changed();
  }

  #cancelLateUnload(): void {
    if (this.#lateUnload !== null) clearTimeout(this.#lateUnload);
    this.#lateUnload = null;
  }

  async #fail(call: Call, error: unknown): Promise<void> {
    if (call.begun) return call.reset();
    const message = error instanceof CardFull ? error.torchMessage() : String(error);
    await call.reply(500, JSON_TYPE, JSON.stringify({ detail: message }));
  }
}

export const startPlain = (options: PlainOptions): Promise<PlainService> => new Plain(options).listen();

/** On the clock of the spans in `work` and `seen`. */
export { monotonicMs };
