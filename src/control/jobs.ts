/** `GET /v1/jobs` and `GET /v1/jobs/ID`: what waits, runs and ended lately, each with its reasons. Keeps nothing. */
import { z } from 'zod';
import type { JobView } from '../core/facts.js';
import { jobId } from '../core/vocabulary.js';
import { BrokerError } from '../errors.js';
import type { BrokerPort, Clock } from '../runtime/ports.js';
import type { Exchange, Route } from '../server/exchange.js';
import { sendJson } from '../server/respond.js';
import { type EndedJobs, KEPT_ENDED_JOBS } from './ended-jobs.js';
import { jobDetailJson } from './job-json.js';
import { liveJobs } from './status.js';

export interface JobsOptions {
  readonly broker: BrokerPort;
  readonly ended: EndedJobs;
  readonly clock: Clock;
}

/** `?limit=`: at most so many that wait, and so many that ended. */
const LIMIT = z.coerce.number().int().min(1).max(5000).default(100);

export function createJobsRoutes({ broker, ended, clock }: JobsOptions): Route[] {
  const detailed = (job: JobView) => jobDetailJson(job, clock.now(), clock);

  function list(exchange: Exchange): void {
    const limit = limitOf(exchange.query);
    const live = liveJobs(broker.snapshot(), limit, detailed);
    const jobs = [...live.jobs, ...ended.newest(limit).map(detailed)];
    sendJson(exchange, 200, { jobs, jobs_omitted: live.jobs_omitted });
  }

  function one(exchange: Exchange): void {
    sendJson(exchange, 200, detailed(findJob(exchange.params.id ?? '', broker, ended)));
  }

  return [
    { method: 'GET', path: '/v1/jobs', needs: 'ask', handler: list },
    { method: 'GET', path: '/v1/jobs/:id', needs: 'ask', handler: one },
  ];
}

/** Throws `job_not_found`. */
export function findJob(id: string, broker: BrokerPort, ended: EndedJobs): JobView {
  const job = broker.snapshot().job(jobId(id)) ?? ended.find(id);
  if (job !== null) return job;
  throw new BrokerError(
    'job_not_found',
    `no job ${id} waits or runs, and it is not among the last ${KEPT_ENDED_JOBS} that ended; GET /v1/jobs lists them`,
  );
}

function limitOf(query: string): number {
  const asked = new URLSearchParams(query).get('limit') ?? undefined;
  const limit = LIMIT.safeParse(asked);
  if (limit.success) return limit.data;
  throw new BrokerError('bad_request', `limit must be a whole number from 1 to 5000, not ${asked ?? ''}`, {
    param: 'limit',
  });
}
