/** A consumer as status shows it. */
import type { ConsumerConfiguration } from '../config/configuration.js';
import type { ConsumerSnapshot } from '../core/snapshot.js';
import type { Residency } from '../core/vocabulary.js';
import type { Clock } from '../runtime/ports.js';
import { isoTimeOrNull, wholeMsOrNull } from './times.js';

export interface ConsumerJson {
  readonly kind: string;
  readonly url: string;
  /** Indexes of the cards that it uses. */
  readonly cards: readonly number[];
  readonly health: string;
  readonly health_error: string | null;
  readonly checked_at: string | null;
  readonly loaded: boolean | null;
  readonly residency: Residency;
  readonly gpu_resident_mib: number | null;
  readonly gpu_resident_source: string | null;
  readonly active: number;
  readonly queued: number;
  readonly total_requests: number;
  readonly failed_requests: number;
  readonly last_used_at: string | null;
  readonly pinned: boolean;
  readonly run_p50_ms: number | null;
  readonly run_p95_ms: number | null;
  readonly models: readonly never[];
}

const LOADED: Readonly<Record<Residency, boolean | null>> = {
  absent: false,
  loading: false,
  parked: false,
  resident: true,
  evicting: true,
  stuck: true,
  unknown: null,
};

export function consumerJson(known: ConsumerSnapshot, configured: ConsumerConfiguration, clock: Clock): ConsumerJson {
  return {
    kind: configured.kind,
    url: withoutCredentials(configured.url),
    cards: configured.cards,
    health: known.health,
    health_error: known.healthError,
    checked_at: isoTimeOrNull(clock, known.checkedAt),
    loaded: LOADED[known.residency],
    residency: known.residency,
    gpu_resident_mib: null,
    gpu_resident_source: null,
    active: known.active,
    queued: known.queued,
    total_requests: known.totalRequests,
    failed_requests: known.failedRequests,
    last_used_at: isoTimeOrNull(clock, known.lastUsedAt),
    pinned: configured.pin,
    run_p50_ms: wholeMsOrNull(known.runP50Ms),
    run_p95_ms: wholeMsOrNull(known.runP95Ms),
    models: [],
  };
}

/** Whoever may look at status is not thereby told a password. */
function withoutCredentials(url: string): string {
  return url.replace(/^(https?:\/\/)[^/@]*@/i, '$1');
}
