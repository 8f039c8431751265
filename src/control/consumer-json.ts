/** A consumer as status shows it. */
import type { ConsumerConfiguration } from '../config/configuration.js';
import type { ConsumerSnapshot, TargetSnapshot } from '../core/snapshot.js';
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
  /** Work of others on it, where it can say. */
  readonly foreign_work: number | null;
  readonly models: readonly ModelJson[];
}

export interface ModelJson {
  readonly name: string;
  readonly loaded: boolean | null;
  readonly residency: Residency;
  readonly gpu_resident_mib: number | null;
  readonly gpu_resident_source: string | null;
  readonly last_used_at: string | null;
  readonly pinned: boolean;
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
    ...heldJson(known),
    active: known.active,
    queued: known.queued,
    total_requests: known.totalRequests,
    failed_requests: known.failedRequests,
    last_used_at: isoTimeOrNull(clock, known.lastUsedAt),
    pinned: configured.pin || known.targets.some(({ target, pinned }) => target.model === null && pinned),
    run_p50_ms: wholeMsOrNull(known.runP50Ms),
    run_p95_ms: wholeMsOrNull(known.runP95Ms),
    foreign_work: known.foreignWork,
    models: known.targets.flatMap((target) => modelJson(target, clock)),
  };
}

/** What its processes hold, else the sum of what is known of its targets. */
function heldJson({ heldMib, targets }: ConsumerSnapshot) {
  if (heldMib !== null) return { gpu_resident_mib: Math.round(heldMib), gpu_resident_source: 'measured' };
  const known = targets.filter((target) => target.residentMib !== null);
  if (known.length === 0) return { gpu_resident_mib: null, gpu_resident_source: null };
  const sum = known.reduce((mib, target) => mib + (target.residentMib ?? 0), 0);
  return { gpu_resident_mib: Math.round(sum), gpu_resident_source: known[0]?.source ?? null };
}

function modelJson(
  { target, residency, residentMib, source, lastUsedAt, pinned }: TargetSnapshot,
  clock: Clock,
): ModelJson[] {
  if (target.model === null) return [];
  const held = residentMib === null ? null : Math.round(residentMib);
  return [
    {
      name: target.model,
      loaded: LOADED[residency],
      residency,
      gpu_resident_mib: held,
      gpu_resident_source: held === null ? null : source,
      last_used_at: isoTimeOrNull(clock, lastUsedAt),
      pinned,
    },
  ];
}

/** Whoever may look at status is not thereby told a password. */
function withoutCredentials(url: string): string {
  return url.replace(/^(https?:\/\/)[^/@]*@/i, '$1');
}
