/**
 * The HTTP server below every demo service. Owns the listening socket, the list of what was seen and worked on, and
 * the transport's bad days. It never knows what a path means: that is the service's `handle`.
 */
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hrtime } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Card, endlessCard } from '../card.js';
import { Call } from './call.js';
import type { DemoService, DemoServiceOptions, Fault, SeenRequest, WorkSpan } from './service.js';

const KEPT_ENTRIES = 10_000;
const DEFAULT_UNTIL_MS = 10_000;
/** No HTTP parser takes this for an answer. */
const GARBAGE = Buffer.from('\u0015\u0003\u0003 this is not HTTP \u0000\u00ff\r\n\r\n', 'latin1');

type Changing<T> = { -readonly [K in keyof T]: T[K] };

export interface ServiceTraits {
  readonly name: string;
  /** Answers one request. What it throws goes to `failure`, unless the client is gone. */
  readonly handle: (call: Call) => Promise<void>;
  /** The real service's answer to a bug or an unexpected body. */
  readonly failure: (call: Call, error: unknown) => Promise<void>;
  /** On every answer, in the real service's spelling. */
  readonly headers: Readonly<Record<string, string>>;
  readonly sendsDate: boolean;
  readonly bodyLimitBytes: number;
  /** Last changes to the server before it listens. */
  readonly tune?: (server: Server) => void;
}

export const monotonicMs = (): number => Number(hrtime.bigint()) / 1e6;

function keep<T>(list: T[], entry: T): void {
  list.push(entry);
  if (list.length > KEPT_ENTRIES) list.shift();
}

export class ServiceHost implements DemoService {
  readonly seen: Changing<SeenRequest>[] = [];
  readonly work: Changing<WorkSpan>[] = [];
  readonly card: Card;
  fault: Fault | null = null;
  faultPaths = /^/;
  /** Aborts when the service closes: every wait inside it ends then. */
  readonly closing = new AbortController();
  readonly #traits: ServiceTraits;
  readonly #server: Server;
  readonly #speed: number;
  readonly #changes = new EventEmitter();
  readonly #running = new Set<Promise<void>>();
  #atWork = 0;

  constructor(traits: ServiceTraits, options: DemoServiceOptions) {
    this.#traits = traits;
    this.#speed = options.speed ?? 1;
    this.card = options.card ?? endlessCard();
    this.#changes.setMaxListeners(0);
    this.#server = createServer({ keepAliveTimeout: 5_000, requestTimeout: 0 }, (req, res) => this.#take(req, res));
    traits.tune?.(this.#server);
  }

  async listen(options: DemoServiceOptions): Promise<void> {
    this.#server.listen(options.port ?? 0, options.host ?? '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get #address(): AddressInfo {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error(`${this.#traits.name} does not listen`);
    return address;
  }

  get port(): number {
    return this.#address.port;
  }

  get url(): string {
    const { address, family, port } = this.#address;
    return family === 'IPv6' ? `http://[${address}]:${port}` : `http://${address}:${port}`;
  }

  /** The fault that hits this path now. */
  faultOn(path: string): Fault | null {
    return this.faultPaths.test(path) ? this.fault : null;
  }

  /** Waits as long as the demo's pace says, divided by the speed; an abort ends it early with its reason. */
  async pace(durationMs: number, signal: AbortSignal = this.closing.signal): Promise<void> {
    await sleep(durationMs / this.#speed, undefined, { signal });
  }

  /** The card is in use for this job until the function given back is called. */
  beginWork(label: string): () => void {
    const span: Changing<WorkSpan> = { label, startedAtMs: monotonicMs(), endedAtMs: null };
    keep(this.work, span);
    this.#atWork += 1;
    this.card.setBusy(true);
    this.changed();
    return () => {
      if (span.endedAtMs !== null) return;
      span.endedAtMs = monotonicMs();
      this.#atWork -= 1;
      this.card.setBusy(this.#atWork > 0);
      this.changed();
    };
  }

  changed(): void {
    this.#changes.emit('change');
  }

  async until(condition: () => boolean, timeoutMs: number = DEFAULT_UNTIL_MS): Promise<void> {
    const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), this.closing.signal]);
    while (!condition()) await once(this.#changes, 'change', { signal });
  }

  async close(options: { readonly finishWork?: boolean } = {}): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : Promise.resolve();
    this.#server.close();
    if (options.finishWork === true) {
      await Promise.all(this.#running);
    }
    this.closing.abort(new Error(`${this.#traits.name} is closing`));
    this.#server.closeAllConnections();
    await Promise.all(this.#running);
    await closed;
    await this.card.close();
  }

  #take(req: IncomingMessage, res: ServerResponse): void {
    const [path = '/', ...rest] = (req.url ?? '/').split('?');
    const seen: Changing<SeenRequest> = {
      method: req.method ?? 'GET',
      path,
      query: rest.length === 0 ? '' : `?${rest.join('?')}`,
      headers: req.headers,
      startedAtMs: monotonicMs(),
      endedAtMs: null,
      aborted: false,
    };
    keep(this.seen, seen);
    const call = new Call(req, res, seen, this.#traits, () => this.faultOn(path));
    res.once('close', () => {
      seen.endedAtMs = monotonicMs();
      seen.aborted = !res.writableFinished && !call.brokenByUs && !this.closing.signal.aborted;
      call.leave();
      this.changed();
    });
    this.changed();
    const answered = this.#answer(call).finally(() => this.#running.delete(answered));
    this.#running.add(answered);
  }

  async #answer(call: Call): Promise<void> {
    try {
      if (await this.#brokenBeforeHeaders(call)) return;
      await this.#traits.handle(call);
    } catch (error) {
      // Nobody is there to read an answer, and the cut is what the handler stumbled over.
      if (call.brokenByUs || call.signal.aborted || this.closing.signal.aborted) return;
      await this.#traits.failure(call, error).catch(() => call.reset());
    }
  }

  async #brokenBeforeHeaders(call: Call): Promise<boolean> {
    switch (this.faultOn(call.path)) {
      case 'reset-before-headers':
        call.reset();
        return true;
      case 'garbage':
        call.sayRaw(GARBAGE);
        return true;
      case 'hang-before-headers':
        if (!call.signal.aborted) await once(call.signal, 'abort');
        return true;
      default:
        return false;
    }
  }
}
