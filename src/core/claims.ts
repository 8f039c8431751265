/** Entering and dropping claims. A claim belongs to a live load or grant, or waits for the one reading that shows it. */
import { footprintOf, shareMib } from './footprints.js';
import { currentReading, hasFreshReading, heldByProcesses, isLeftOfRun } from './ledger.js';
import type { BrokerState, ConsumerState, TargetState } from './state.js';
import type { JobId, MonotonicMs } from './vocabulary.js';

export function claimLoad(state: BrokerState, consumer: ConsumerState, target: TargetState, job: JobId | null): void {
  const { residentMib } = footprintOf(state, target);
  for (const card of consumer.settings.cards) {
    const base = heldByProcesses(state, consumer.id, card);
    const share = shareMib(consumer, residentMib);
    // What its process holds already (its residue) is in the reading and is not loaded again.
    const mib = consumer.settings.swaps === 'models' ? share : Math.max(0, share - (base ?? 0));
    enter(state, consumer, target, 'load', job, card, mib);
  }
}

export function claimRun(state: BrokerState, consumer: ConsumerState, target: TargetState, job: JobId): void {
  const { runMib } = footprintOf(state, target);
  for (const card of consumer.settings.cards) {
    enter(state, consumer, target, 'run', job, card, shareMib(consumer, runMib));
  }
}

function enter(
  state: BrokerState,
  consumer: ConsumerState,
  target: TargetState,
  kind: 'load' | 'run',
  jobId: JobId | null,
  card: number,
  mib: number,
): void {
  const baseMib = heldByProcesses(state, consumer.id, card);
  state.claims.push({
    card,
    target: target.name,
    consumer: consumer.id,
    kind,
    jobId,
    mib,
    baseMib,
    endsWithReadingAfter: null,
  });
}

/** The memory is in the reading now: what grows from here on belongs to the run. */
export function dropLoadClaims(state: BrokerState, target: TargetState): void {
  const loads = state.claims.filter((claim) => claim.target === target.name && claim.kind === 'load');
  state.claims = state.claims.filter((claim) => !loads.includes(claim));
  for (const run of state.claims) {
    if (run.target !== target.name || run.baseMib === null) continue;
    const loaded = loads.find((load) => load.card === run.card);
    if (loaded !== undefined) run.baseMib += loaded.mib;
  }
}

export function dropRunClaims(state: BrokerState, job: JobId): void {
  state.claims = state.claims.filter((claim) => !(claim.kind === 'run' && claim.jobId === job));
}

/** A run that is over may have left what it took with its allocator: others must not be given it before a reading shows it. */
export function releaseRunClaimsByReading(state: BrokerState, job: JobId, now: MonotonicMs): void {
  if (hasFreshReading(state) || currentReading(state) === null) dropRunClaims(state, job);
  for (const claim of state.claims) {
    if (claim.jobId === job && claim.kind === 'run') claim.endsWithReadingAfter ??= now;
  }
}

/** Its next run takes what the last one left, given back or kept. */
export function dropLeftOfRuns(state: BrokerState, target: TargetState): void {
  state.claims = state.claims.filter((claim) => claim.target !== target.name || !isLeftOfRun(claim));
}

/** No reading can be had: the ledger works with footprints, which know nothing of what runs leave. */
export function dropAllLeftOfRuns(state: BrokerState): void {
  state.claims = state.claims.filter((claim) => !isLeftOfRun(claim));
}

/** A load that failed may have left anything behind: its claims fall with the next reading. */
export function releaseLoadClaimsByReading(state: BrokerState, target: TargetState, now: MonotonicMs): void {
  for (const claim of state.claims) {
    if (claim.target === target.name && claim.kind === 'load') claim.endsWithReadingAfter ??= now;
  }
}

export function dropExpiredClaims(state: BrokerState, readingStartedAt: MonotonicMs): void {
  state.claims = state.claims.filter(
    (claim) => claim.endsWithReadingAfter === null || claim.endsWithReadingAfter > readingStartedAt,
  );
}
