/**
 * Everything the page knows, and how each message from the daemon changes it. Owns the jobs, the last status and what
 * happened, all bounded. Draws nothing, asks nobody.
 */
import type { Happening, Stretch } from './happening.js';
import type { Job, Status, Whoami } from './wire.js';
import { splitTarget } from './words.js';

/** About a day of a busy machine; the oldest go first. */
const MOST_HAPPENINGS = 40_000;

export type Contact =
  | { readonly kind: 'opening' }
  | { readonly kind: 'live' }
  /** The state shown is the last one known. */
  | { readonly kind: 'lost'; readonly since: number };

export class World {
  status: Status | null = null;
  whoami: Whoami | null = null;
  contact: Contact = { kind: 'opening' };
  /** Jobs that run or wait, by id. */
  readonly jobs = new Map<string, Job>();
  /** The oldest first. */
  happenings: Happening[] = [];
  /** From here on `happenings` is complete; null: history has not come yet. */
  knownFrom: number | null = null;
  /** The daemon's clock less this machine's. */
  #clockAheadMs = 0;

  now(): number {
    return Date.now() + this.#clockAheadMs;
  }

  /** `since`: what came over the event stream while the snapshot was on its way, which may be newer than it. */
  takeStatus(status: Status, since: readonly Happening[]): void {
    this.status = status;
    const serverNow = clockOf(status);
    if (serverNow !== null) this.#clockAheadMs = serverNow - Date.now();
    const kept = status.jobs_omitted > 0 ? this.#beyond(status.jobs) : [];
    this.jobs.clear();
    for (const job of status.jobs) this.jobs.set(job.id, job);
    for (const job of kept) this.jobs.set(job.id, job);
    for (const happening of since) if (happening.event === 'job') this.#takeJob(happening.change, happening.job);
  }

  /** A snapshot shows the first waiting jobs only: those that came later than its last one may still wait. */
  #beyond(shown: readonly Job[]): Job[] {
    const last = shown.filter(({ state }) => state === 'waiting').at(-1)?.queued_at ?? '';
    const ids = new Set(shown.map(({ id }) => id));
    return [...this.jobs.values()].filter(
      (job) => job.state === 'waiting' && !ids.has(job.id) && job.queued_at >= last,
    );
  }

  /** All that wait, where status could not show them all. */
  takeJobs(jobs: readonly Job[], since: readonly Happening[]): void {
    for (const job of jobs) if (job.state !== 'ended' && !this.jobs.has(job.id)) this.jobs.set(job.id, job);
    for (const happening of since) if (happening.event === 'job') this.#takeJob(happening.change, happening.job);
  }

  takeHappening(happening: Happening): void {
    this.#clockAheadMs = Math.max(this.#clockAheadMs, happening.at - Date.now());
    if (happening.event === 'job') {
      this.#takeJob(happening.change, happening.job);
      if (happening.change !== 'ended') return;
    }
    if (happening.event === 'gpu') this.#takeReading(happening.gpu);
    if (happening.event === 'consumer') this.#takeHealth(happening.consumer, happening.health, happening.health_error);
    if (happening.event === 'target') this.#takeResidency(happening.target, happening.to);
    this.happenings.push(happening);
    if (this.happenings.length > MOST_HAPPENINGS * 1.1)
      this.happenings.splice(0, this.happenings.length - MOST_HAPPENINGS);
  }

  #takeJob(change: string, job: Job): void {
    if (change === 'ended' || change === 'work_over' || job.state === 'ended') this.jobs.delete(job.id);
    else this.jobs.set(job.id, job);
  }

  #takeReading(gpu: Status['gpu'] | null): void {
    if (this.status === null || gpu === null) return;
    // An event tells the reading; what the ledger makes of it comes with the next status.
    const cards = gpu.cards.map((card) => {
      const known = this.status?.gpu.cards.find(({ index }) => index === card.index);
      return {
        ...card,
        foreign_mib: card.foreign_mib ?? known?.foreign_mib ?? null,
        claimed_mib: card.claimed_mib ?? known?.claimed_mib ?? null,
      };
    });
    this.status = { ...this.status, gpu: { ...gpu, cards, reserve_mib: this.status.gpu.reserve_mib } };
  }

  #takeHealth(name: string, health: string, error: string | null): void {
    this.#changeConsumer(name, { health, health_error: error });
  }

  /** What left holds nothing that is known until the next snapshot says what stayed behind. */
  #takeResidency(target: string, residency: string): void {
    const change =
      residency === 'absent' || residency === 'parked' ? { residency, gpu_resident_mib: null } : { residency };
    const { consumer, model } = splitTarget(target);
    const known = this.status?.consumers[consumer];
    if (model === null || known === undefined) {
      this.#changeConsumer(consumer, change);
      return;
    }
    const left = known.models.find(({ name }) => name === model)?.gpu_resident_mib ?? 0;
    const models = known.models.map((each) => (each.name === model ? { ...each, ...change } : each));
    const rest = known.gpu_resident_mib === null ? null : Math.max(0, known.gpu_resident_mib - left);
    this.#changeConsumer(consumer, {
      models,
      residency: busiest(models),
      ...('gpu_resident_mib' in change ? { gpu_resident_mib: rest } : {}),
    });
  }

  #changeConsumer(name: string, change: Partial<Status['consumers'][string]>): void {
    const known = this.status?.consumers[name];
    if (this.status === null || known === undefined) return;
    this.status = { ...this.status, consumers: { ...this.status.consumers, [name]: { ...known, ...change } } };
  }

  /** Puts older records before what is known; what overlaps is left out. */
  takeStretch(stretch: Stretch): void {
    const knownFrom = this.knownFrom ?? Infinity;
    const first = this.happenings[0]?.at ?? Infinity;
    const until = Math.min(knownFrom, first);
    const older = [
      ...stretch.before.map((happening) => ({ ...happening, at: Math.min(happening.at, stretch.from) })),
      ...stretch.records,
    ];
    const rest = this.happenings.filter(({ at }) => at >= until);
    this.happenings = [...older.filter(({ at }) => at < until), ...rest];
    this.knownFrom = Math.min(knownFrom, stretch.from);
  }

  /** After contact was lost, nothing that was shown as going on can be believed. */
  forgetHappenings(): void {
    this.happenings = [];
    this.knownFrom = null;
  }
}

const BUSIEST_FIRST = ['loading', 'evicting', 'stuck', 'resident', 'unknown', 'parked'];

/** A consumer with models shows its busiest one's residency. */
function busiest(models: readonly { readonly residency: string }[]): string {
  return BUSIEST_FIRST.find((residency) => models.some((model) => model.residency === residency)) ?? 'absent';
}

/** The reading's age is exact; the uptime is whole seconds. */
function clockOf(status: Status): number | null {
  const { sampled_at: sampledAt, age_ms: ageMs } = status.gpu;
  if (sampledAt !== null && ageMs !== null) return Date.parse(sampledAt) + ageMs;
  const started = Date.parse(status.started_at);
  return Number.isNaN(started) ? null : started + status.uptime_s * 1000 + 500;
}
