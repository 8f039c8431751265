/**
 * Keeps the world true: one snapshot, then the event stream; after a broken connection a new snapshot. Owns the stream,
 * its timers and the requests under way.
 */
import { ask } from './ask.js';
import { EVENT_NAMES, type Happening, readHappening, readStretch } from './happening.js';
import { readJobs, readStatus, readWhoami } from './wire.js';
import type { World } from './world.js';

/** What events do not tell (reasons that grow older, sizes, medians) is asked for at most so often, */
const REFRESH_AFTER_EVENT_MS = 2000;
/** and at least so often. */
const REFRESH_ALWAYS_MS = 10_000;
/** All waiting jobs, where a snapshot shows the first hundred only: events tell who comes and goes meanwhile. */
const FULL_QUEUE_EVERY_MS = 60_000;
const RETRY_MS = [1000, 2000, 4000, 8000, 15_000];
const FIRST_STRETCH_MS = 12 * 60_000;
const MOST_STRETCH_MS = 3_600_000;
const DAY_MS = 24 * 3_600_000;

export class Live {
  readonly #world: World;
  readonly #onChange: () => void;
  #source: EventSource | null = null;
  #retries = 0;
  #refreshTimer: number | null = null;
  #refreshDueAt = 0;
  #refreshing = false;
  #turn: Promise<boolean> = Promise.resolve(true);
  #fullQueueAt = 0;
  #loadingHistory = false;
  /** Told while a snapshot was on its way. */
  #meanwhile: Happening[] = [];

  constructor(world: World, onChange: () => void) {
    this.#world = world;
    this.#onChange = onChange;
  }

  start(): void {
    this.#connect();
    void this.refresh();
    // A page that nobody sees asks nothing; it catches up when somebody looks.
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) void this.refresh();
    });
  }

  #connect(): void {
    const source = new EventSource('/v1/events');
    this.#source = source;
    source.onopen = () => void this.#opened();
    source.onerror = () => this.#lost(source);
    source.addEventListener('dropped', () => this.#lost(source));
    for (const name of EVENT_NAMES) {
      source.addEventListener(name, (message) => this.#heard(name, String(message.data)));
    }
  }

  async #opened(): Promise<void> {
    const wasLost = this.#world.contact.kind === 'lost';
    this.#retries = 0;
    if (wasLost) this.#world.forgetHappenings();
    const source = this.#source;
    if (!(await this.refresh())) {
      // A stream without a snapshot shows nothing: both are tried again.
      if (source !== null) this.#lost(source);
      return;
    }
    if (this.#source !== source) return;
    this.#world.contact = { kind: 'live' };
    this.#onChange();
    await this.#whoami();
    await this.loadHistory(this.#world.now() - FIRST_STRETCH_MS);
  }

  #lost(source: EventSource): void {
    source.close();
    if (this.#source !== source) return;
    this.#source = null;
    if (this.#world.contact.kind !== 'lost') this.#world.contact = { kind: 'lost', since: this.#world.now() };
    const waitMs = RETRY_MS[Math.min(this.#retries, RETRY_MS.length - 1)] ?? 1000;
    this.#retries += 1;
    setTimeout(() => this.#connect(), waitMs);
    this.#onChange();
  }

  #heard(name: string, text: string): void {
    const happening = readHappening(name, JSON.parse(text));
    if (happening === null) return;
    if (this.#refreshing) this.#meanwhile.push(happening);
    this.#world.takeHappening(happening);
    if (happening.event !== 'gpu') this.#refreshSoon(REFRESH_AFTER_EVENT_MS);
    this.#onChange();
  }

  /** The earlier of two wishes holds. */
  #refreshSoon(waitMs: number): void {
    const dueAt = performance.now() + waitMs;
    if (this.#refreshTimer !== null) {
      if (this.#refreshDueAt <= dueAt) return;
      clearTimeout(this.#refreshTimer);
    }
    this.#refreshDueAt = dueAt;
    this.#refreshTimer = window.setTimeout(() => {
      this.#refreshTimer = null;
      if (!document.hidden && this.#source !== null) void this.refresh();
    }, waitMs);
  }

  /** Resolves with false where the daemon gave none. What is asked while one is on its way gets the next one. */
  refresh(): Promise<boolean> {
    this.#turn = this.#turn.then(() => this.#takeStatus());
    return this.#turn;
  }

  async #takeStatus(): Promise<boolean> {
    this.#refreshing = true;
    this.#meanwhile = [];
    try {
      this.#world.takeStatus(readStatus(await ask('/v1/status')), this.#meanwhile);
      await this.#wholeQueue();
      this.#onChange();
      return true;
    } catch (error) {
      console.warn('no status', error);
      return false;
    } finally {
      this.#refreshing = false;
      this.#refreshSoon(REFRESH_ALWAYS_MS);
    }
  }

  async #wholeQueue(): Promise<void> {
    if ((this.#world.status?.jobs_omitted ?? 0) === 0) {
      this.#fullQueueAt = 0;
      return;
    }
    if (Date.now() - this.#fullQueueAt < FULL_QUEUE_EVERY_MS) return;
    this.#fullQueueAt = Date.now();
    this.#onChange();
    this.#meanwhile = [];
    this.#world.takeJobs(readJobs(await ask('/v1/jobs?limit=5000&ended=0')), this.#meanwhile);
  }

  async #whoami(): Promise<void> {
    try {
      this.#world.whoami = readWhoami(await ask('/v1/whoami'));
      this.#onChange();
    } catch (error) {
      console.warn('not told who this is', error);
    }
  }

  /** Asks for what is older, until `from` is known or a day is. */
  async loadHistory(from: number): Promise<void> {
    const world = this.#world;
    const known = world.knownFrom ?? world.now();
    const wanted = Math.max(from, world.now() - DAY_MS);
    if (this.#loadingHistory || known <= wanted) return;
    this.#loadingHistory = true;
    try {
      const start = Math.max(wanted, known - MOST_STRETCH_MS);
      world.takeStretch(readStretch(await ask(`/v1/history?from=${Math.floor(start)}&to=${Math.ceil(known)}`)));
      this.#onChange();
    } catch (error) {
      // A daemon without history still shows what happens from now on.
      world.knownFrom ??= world.now();
      console.warn('no history', error);
    } finally {
      this.#loadingHistory = false;
    }
  }
}
