/** A job as the control routes and events show it (product.md section 5). Never a body, a prompt or a header. */
import { describeReason, waitsFor } from '../core/describe.js';
import type { JobView } from '../core/facts.js';
import type { MonotonicMs, WaitReason } from '../core/vocabulary.js';
import type { Clock } from '../runtime/ports.js';
import { isoTime, isoTimeOrNull, wholeMs, wholeMsOrNull } from './times.js';

export interface ReasonJson {
  readonly code: string;
  readonly text: string;
  /** The job that has the card, where that is the reason. */
  readonly holder?: string;
  /** Who must finish or leave first, by name, where there is somebody. */
  readonly waits_for?: string;
  readonly need_mib?: number;
  readonly free_mib?: number | null;
}

export interface TimedReasonJson extends ReasonJson {
  readonly at: string;
}

export interface JobJson {
  readonly id: string;
  readonly consumer: string;
  readonly model: string | null;
  readonly capability: string | null;
  readonly class: string;
  readonly client: string;
  readonly state: JobView['state'];
  readonly answered: boolean;
  readonly queued_at: string;
  readonly waited_ms: number;
  readonly position: number | null;
  readonly expected_wait_ms: number | null;
  readonly reason: ReasonJson | null;
}

/** What `/v1/jobs` and events say beyond status: how it went on, and everything it waited for. */
export interface JobDetailJson extends JobJson {
  readonly granted_at: string | null;
  readonly first_byte_at: string | null;
  readonly ended_at: string | null;
  readonly run_ms: number | null;
  readonly end: string | null;
  readonly code: string | null;
  readonly message: string | null;
  readonly reasons: readonly TimedReasonJson[];
}

export function jobJson(job: JobView, now: MonotonicMs, clock: Clock): JobJson {
  return {
    id: job.id,
    consumer: job.consumer,
    model: job.model,
    capability: job.capability,
    class: job.class,
    client: job.client,
    state: job.state,
    answered: job.answered,
    queued_at: isoTime(clock, job.queuedAt),
    waited_ms: wholeMs((job.grantedAt ?? job.endedAt ?? now) - job.queuedAt),
    position: job.position,
    expected_wait_ms: wholeMsOrNull(job.expectedWaitMs),
    reason: job.reason === null ? null : reasonJson(job.reason, now),
  };
}

export function jobDetailJson(job: JobView, now: MonotonicMs, clock: Clock): JobDetailJson {
  return {
    ...jobJson(job, now, clock),
    granted_at: isoTimeOrNull(clock, job.grantedAt),
    first_byte_at: isoTimeOrNull(clock, job.firstByteAt),
    ended_at: isoTimeOrNull(clock, job.endedAt),
    run_ms: job.grantedAt === null ? null : wholeMs((job.endedAt ?? now) - job.grantedAt),
    end: job.outcome?.end ?? null,
    code: job.outcome?.code ?? null,
    message: job.outcome?.message ?? null,
    reasons: job.reasons.map((each) => timedReasonJson(each, clock)),
  };
}

export function timedReasonJson({ at, reason }: JobView['reasons'][number], clock: Clock): TimedReasonJson {
  return { at: isoTime(clock, at), ...reasonJson(reason, at) };
}

/** The text is as of `at`: durations in it count up to then. */
function reasonJson(reason: WaitReason, at: MonotonicMs): ReasonJson {
  const other = waitsFor(reason);
  return {
    code: reason.code,
    text: describeReason(reason, at),
    ...(other === null ? {} : { waits_for: other }),
    ...('holder' in reason ? { holder: reason.holder } : {}),
    ...('needMib' in reason
      ? { need_mib: Math.round(reason.needMib), free_mib: reason.freeMib === null ? null : Math.round(reason.freeMib) }
      : {}),
  };
}
