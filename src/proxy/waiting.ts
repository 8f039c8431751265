/**
 * The responses that wait: one record per job from its headers to its end, and the port through which the core says
 * what becomes of it. The only place where a job's stage changes on this side. Decides nothing about turns.
 */
import { randomUUID } from 'node:crypto';
import type { Adapter, JobNeed, RequestLine } from '../adapters/adapter.js';
import type { HeldBody, Translation } from '../adapters/translation.js';
import type { ConsumerConfiguration } from '../config/configuration.js';
import { TransientMap } from '../core/transient-map.js';
import { type Capability, type JobClass, type JobId, type JobOutcome, jobId } from '../core/vocabulary.js';
import { BrokerError, isErrorCode } from '../errors.js';
import type { JobPort } from '../runtime/ports.js';
import type { Exchange } from '../server/exchange.js';
import { sendError } from '../server/respond.js';
import type { Budget } from './budget.js';
import { whenClientLeaves } from './client.js';
import { concernedOptions } from './failures.js';
import { BodyIntake, type IntakeRefusal } from './intake.js';
import { classOf } from './job-class.js';
import { Run, type RunDependencies } from './run.js';
import { durationText } from './time-limits.js';

export interface JobOrder {
  readonly exchange: Exchange;
  readonly consumer: ConsumerConfiguration;
  readonly adapter: Adapter;
  readonly request: RequestLine;
  readonly capability: Capability | null;
  readonly class: JobClass;
  /** A request that was made from another one: its body is here already. */
  readonly made?:
    | {
        readonly body: HeldBody;
        readonly contentType: string | null;
        readonly translation: Translation;
        readonly patienceMs: number | null;
      }
    | undefined;
}

export interface WaitingDependencies extends RunDependencies {
  readonly spool: Budget;
  readonly spoolFolder: string;
}

export interface WaitingRoom {
  /** The request's headers were good: tells the core, which admits or refuses it. */
  announce(order: JobOrder): JobId;
  /** Whether it has its grant, or is over. */
  hasBegun(id: JobId): boolean;
  readonly port: JobPort;
}

interface WaitingJob extends JobOrder {
  readonly id: JobId;
  /** When the client loses its patience. */
  patience: NodeJS.Timeout | null;
  /** What goes on now: the core's first word is awaited, the body comes, the grant is awaited, or it runs. */
  stage:
    | { readonly name: 'announced' }
    | { readonly name: 'taking_in'; readonly intake: BodyIntake }
    | { readonly name: 'waiting'; readonly body: HeldBody; readonly since: number }
    | { readonly name: 'running'; readonly body: HeldBody; run: Run | null };
}

export function createWaitingRoom(dependencies: WaitingDependencies): WaitingRoom {
  const { broker, clock, configuration, log, memory, spool, spoolFolder } = dependencies;
  const jobs = new TransientMap<JobId, WaitingJob>();

  function announce(order: JobOrder): JobId {
    const job: WaitingJob = {
      // Written out: a spread would be the dearest line of a job's way through this file.
      exchange: order.exchange,
      consumer: order.consumer,
      adapter: order.adapter,
      request: order.request,
      capability: order.capability,
      class: order.class,
      made: order.made,
      id: newJobId(),
      patience: null,
      stage: { name: 'announced' },
    };
    jobs.set(job.id, job);
    whenClientLeaves(order.exchange, () => {
      if (jobs.has(job.id)) broker.post({ type: 'ClientLeft', jobId: job.id });
    });
    const { id, capability } = job;
    // The one header of an answer that the SDKs of these APIs show to their callers.
    if (job.made !== undefined) job.exchange.res.setHeader('X-Request-Id', id);
    broker.post({
      type: 'JobAnnounced',
      job: { id, capability, consumer: job.consumer.id, class: job.class, client: job.exchange.caller.address },
    });
    return id;
  }

  function admit(id: JobId): void {
    const job = jobs.get(id);
    if (job?.stage.name !== 'announced') return;
    const { exchange, made } = job;
    if (made !== undefined) {
      const { patienceMs } = made;
      if (patienceMs !== null) job.patience = setTimeout(() => losePatience(job, patienceMs), patienceMs);
      void queue(job, made.body);
      return;
    }
    const { bodyBytes } = configuration.current().limits;
    const limits = { memory, spool, spoolFolder, bodyBytes, uploadMs: job.consumer.timeouts.uploadMs, log };
    const intake = new BodyIntake(exchange.req, limits, {
      taken: (body) => void queue(job, body),
      refused: (refusal) => endBeforeGrant(job, refusal),
    });
    job.stage = { name: 'taking_in', intake };
    const refusal = intake.refusalFromHeaders();
    if (refusal !== null) {
      intake.stop();
      endBeforeGrant(job, refusal);
      return;
    }
    if (exchange.expectsContinue) exchange.res.writeContinue();
    intake.start();
  }

  async function queue(job: WaitingJob, body: HeldBody): Promise<void> {
    job.stage = { name: 'waiting', body, since: clock.now() };
    let need: JobNeed = { model: null, usesCard: true };
    try {
      const type = job.made?.contentType ?? job.exchange.req.headers['content-type'] ?? null;
      need = await job.adapter.need(job.request, type, body, job.consumer);
    } catch (error) {
      // A job that ended meanwhile has no body any more; one whose model cannot be told is still its consumer's.
      if (jobs.has(job.id)) log.error({ err: error, job: job.id }, 'an adapter could not tell the model of a job');
    }
    if (!jobs.has(job.id)) return;
    const jobClass = classOf(job.exchange.req, job.consumer, need.model);
    broker.post({ type: 'JobArrived', jobId: job.id, ...need, class: jobClass });
  }

  /** What we find out ourselves before the grant: too large, no room, too slow. */
  function endBeforeGrant(job: WaitingJob, { code, message, cause }: IntakeRefusal): void {
    forget(job);
    if (cause !== undefined) log.warn({ err: cause, job: job.id }, message);
    const end =
      code === 'upload_timeout' || code === 'queue_timeout' ? 'timed_out' : code === 'internal' ? 'failed' : 'refused';
    broker.post({ type: 'JobEnded', jobId: job.id, outcome: { end, code, message }, workOver: true });
    sendError(job.exchange, new BrokerError(code, message, concernedOptions(concerned(job), { cause })));
  }

  function losePatience(job: WaitingJob, patienceMs: number): void {
    if (job.stage.name !== 'waiting') return;
    const message = `its client said that it waits no longer than ${durationText(patienceMs)}, and its turn did not come in that time`;
    endBeforeGrant(job, { code: 'queue_timeout', message });
  }

  function grant(id: JobId): void {
    const job = jobs.get(id);
    if (job?.stage.name !== 'waiting') return;
    const { body, since } = job.stage;
    const running: WaitingJob['stage'] = { name: 'running', body, run: null };
    job.stage = running;
    // A reload may have given the consumer another address while the job waited.
    const consumer = configuration.current().consumers.get(job.consumer.id) ?? job.consumer;
    const queuedMs = clock.now() - since;
    const { exchange, adapter, request } = job;
    const order = { id, exchange, consumer, adapter, request, body, translated: job.made, queuedMs };
    running.run = new Run(order, dependencies, () => forget(job));
  }

  function refuse(id: JobId, outcome: JobOutcome, retryAfterS: number | null | undefined): void {
    const job = jobs.get(id);
    if (job === undefined) return;
    forget(job);
    const { res } = job.exchange;
    if (res.closed || res.destroyed) return;
    const code = codeOf(outcome);
    const more = retryAfterS === undefined ? {} : { retryAfterS };
    sendError(job.exchange, new BrokerError(code, textOf(outcome), concernedOptions(concerned(job), more)));
  }

  function abort(id: JobId, outcome: JobOutcome): void {
    const job = jobs.get(id);
    if (job?.stage.name === 'running') job.stage.run?.abort(outcome, codeOf(outcome));
  }

  const runOf = (id: JobId): Run | null => {
    const stage = jobs.get(id)?.stage;
    return stage?.name === 'running' ? stage.run : null;
  };

  function forget(job: WaitingJob): void {
    jobs.delete(job.id);
    if (job.patience !== null) clearTimeout(job.patience);
    if (job.stage.name === 'taking_in') job.stage.intake.stop();
    else if (job.stage.name !== 'announced') job.stage.body.release();
    else job.made?.body.release();
  }

  return {
    announce,
    hasBegun: (id) => {
      const stage = jobs.get(id)?.stage.name;
      return stage === undefined || stage === 'running';
    },
    port: {
      ...{ admit, grant, refuse, abort },
      retry: (id) => runOf(id)?.retry(),
      pass: (id) => runOf(id)?.pass(),
    },
  };
}

/** 76 random bits, in the form of the contract. */
const newJobId = (): JobId => jobId(`j_${randomUUID().replaceAll('-', '').slice(0, 20)}`);

const concerned = ({ consumer, id }: WaitingJob) => ({ consumer, job: id });
const textOf = ({ message }: JobOutcome): string => message ?? 'the broker ended the job';

function codeOf({ code }: JobOutcome): BrokerError['code'] {
  return code !== null && isErrorCode(code) ? code : 'internal';
}
