/** `GET /v1/jobs` and `GET /v1/jobs/ID`: what waits, runs and ended lately, each with its reasons. Keeps nothing. */
import { z } from 'zod';
import type { JobView } from '../core/facts.js';
import { jobId } from '../core/vocabulary.js';
import { BrokerError } from '../errors.js';
import type { BrokerPort, Clock } from '../runtime/ports.js';
import type { Exchange, Route } from '../server/exchange.js';
import { sendJson } from '../server/respond.js';
import type { EndedJobs } from './ended-jobs.js';
import type { History } from './history.js';
import { jobDetailJson } from './job-json.js';
import { liveJobs } from './status.js';

export interface JobsOptions {
  readonly broker: BrokerPort;
  readonly ended: EndedJobs;
  readonly history: Pick<History, 'findJob'>;
  readonly clock: Clock;
}

/** `?limit=`: at most so many that wait, and so many that ended; `?ended=`: another number of those, 0 for none. */
const LIMIT = z.coerce.number().int().min(1).max(5000);
const ENDED = z.coerce.number().int().min(0).max(5000);
const DEFAULT_LIMIT = 100;

export function createJobsRoutes({ broker, ended, history, clock }: JobsOptions): Route[] {
  const detailed = (job: JobView) => jobDetailJson(job, clock.now(), clock);

  function list(exchange: Exchange): void {
    const asked = new URLSearchParams(exchange.query);
    const limit = numberOf(asked, 'limit', LIMIT) ?? DEFAULT_LIMIT;
    const live = liveJobs(broker.snapshot(), limit, detailed);
    const jobs = [...live.jobs, ...ended.newest(numberOf(asked, 'ended', ENDED) ?? limit).map(detailed)];
    sendJson(exchange, 200, { jobs, jobs_omitted: live.jobs_omitted });
  }

  async function one(exchange: Exchange): Promise<void> {
    const id = exchange.params.id ?? '';
    const job = broker.snapshot().job(jobId(id)) ?? ended.find(id);
    const shown = job === null ? await history.findJob(id) : detailed(job);
    if (shown === null) throw noSuchJob(id);
    sendJson(exchange, 200, shown);
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
  throw noSuchJob(id);
}

function noSuchJob(id: string): BrokerError {
  const text = `no job ${id} waits or runs, and none of that name ended within the last day; GET /v1/jobs lists them`;
  return new BrokerError('job_not_found', text);
}

function numberOf(query: URLSearchParams, param: string, schema: typeof LIMIT): number | null {
  const asked = query.get(param);
  if (asked === null) return null;
  const read = schema.safeParse(asked);
  if (read.success) return read.data;
  const text = `${param} must be a whole number from ${schema.minValue ?? 0} to ${schema.maxValue ?? 5000}, not ${asked}`;
  throw new BrokerError('bad_request', text, { param });
}
