/**
 * What changes things: cancelling a job, drain, resume, reload. Posts events to the broker and answers when the thing
 * is done, or says why not. Keeps nothing.
 */
import type { OperatorAction } from '../core/events.js';
import type { JobView } from '../core/facts.js';
import type { JobId } from '../core/vocabulary.js';
import { BrokerError } from '../errors.js';
import type { BrokerPort, Clock, ConfigurationPort, JournalPort } from '../runtime/ports.js';
import type { Exchange, Route } from '../server/exchange.js';
import { sendJson } from '../server/respond.js';
import type { EndedJobs } from './ended-jobs.js';
import { jobDetailJson } from './job-json.js';
import { findJob } from './jobs.js';

export interface OperatorOptions {
  readonly broker: BrokerPort;
  readonly journal: JournalPort;
  readonly configuration: ConfigurationPort;
  readonly ended: EndedJobs;
  readonly clock: Clock;
}

/** The core ends a cancelled job in the same step; more means that the loop is stuck. */
const CANCEL_MAY_TAKE_MS = 5000;

export function createOperatorRoutes(options: OperatorOptions): Route[] {
  const { broker, configuration, ended, clock } = options;

  const ask = (exchange: Exchange, action: OperatorAction): void => {
    broker.post({ type: 'OperatorAsked', action, by: exchange.caller.address });
  };

  async function cancel(exchange: Exchange): Promise<void> {
    const job = findJob(exchange.params.id ?? '', broker, ended);
    if (!exchange.caller.mayOperate && exchange.caller.address !== job.client) throw notYours(exchange, job);
    if (job.state === 'ended') {
      sendJson(exchange, 200, { cancelled: false, job: jobDetailJson(job, clock.now(), clock) });
      return;
    }
    const end = endOf(job.id, options.journal);
    ask(exchange, { kind: 'cancel', job: job.id });
    const last = await end;
    const cancelled = last.outcome?.code === 'cancelled_by_operator';
    sendJson(exchange, 200, { cancelled, job: jobDetailJson(last, clock.now(), clock) });
  }

  function drain(exchange: Exchange): void {
    ask(exchange, { kind: 'drain' });
    sendJson(exchange, 200, stateJson(broker));
  }

  function resume(exchange: Exchange): void {
    ask(exchange, { kind: 'resume' });
    // A broker that stops cannot be called back.
    if (broker.snapshot().state === 'draining') throw new BrokerError('draining', 'the broker is stopping');
    sendJson(exchange, 200, stateJson(broker));
  }

  async function reload(exchange: Exchange): Promise<void> {
    const { changed, needsRestart } = await configuration.reload(exchange.caller.address);
    const loadedAt = new Date(configuration.loadedAt()).toISOString();
    sendJson(exchange, 200, { changed, needs_restart: needsRestart, loaded_at: loadedAt });
  }

  return [
    { method: 'DELETE', path: '/v1/jobs/:id', needs: 'ask', handler: cancel },
    { method: 'POST', path: '/v1/drain', needs: 'operate', handler: drain },
    { method: 'POST', path: '/v1/resume', needs: 'operate', handler: resume },
    { method: 'POST', path: '/v1/reload', needs: 'operate', handler: reload },
  ];
}

function notYours({ caller }: Exchange, job: JobView): BrokerError {
  const text = `job ${job.id} came from ${job.client}, not from ${caller.address}: only its sender and operators (access.operators) may cancel it`;
  return new BrokerError('forbidden', text, { job: job.id });
}

function stateJson(broker: BrokerPort): object {
  const { state, queueDepth, inFlight } = broker.snapshot();
  return { state, queue_depth: queueDepth, in_flight: inFlight };
}

/** Resolves with the job as it ended, however it ends. */
function endOf(id: JobId, journal: JournalPort): Promise<JobView> {
  return new Promise((resolve, reject) => {
    const stop = journal.subscribe(({ fact }) => {
      if (fact.type !== 'job' || fact.change !== 'ended' || fact.job.id !== id) return;
      settle(() => resolve(fact.job));
    });
    const timer = setTimeout(() => {
      const text = `job ${id} did not end within ${CANCEL_MAY_TAKE_MS / 1000} s of its cancelling, which is a bug`;
      settle(() => reject(new BrokerError('internal', text, { job: id })));
    }, CANCEL_MAY_TAKE_MS);
    function settle(finish: () => void): void {
      clearTimeout(timer);
      stop();
      finish();
    }
  });
}
