/** What became of a request at its consumer, in words for its caller. Translates once; keeps the cause. */
import type { ConsumerConfiguration } from '../config/configuration.js';
import type { JobId } from '../core/vocabulary.js';
import { BrokerError, type BrokerErrorOptions } from '../errors.js';
import { originOf } from './origin.js';
import { durationText, type LimitName } from './time-limits.js';
import { BodyUnreadable, systemError } from './upstream.js';

/** Whom an error is about. */
export interface Concerned {
  readonly consumer: ConsumerConfiguration;
  readonly job: JobId | null;
}

export function concernedOptions({ consumer, job }: Concerned, more: BrokerErrorOptions = {}): BrokerErrorOptions {
  const named = job === null ? {} : { job, headers: { 'X-MGPU-Job': job, ...more.headers } };
  return { ...more, consumer: consumer.id, ...named };
}

/** The consumer could not be asked, or ended before its answer was complete. */
export function failureOf(error: Error, concerned: Concerned): BrokerError {
  if (error instanceof BodyUnreadable) {
    return new BrokerError('internal', error.message, concernedOptions(concerned, { cause: error }));
  }
  const text = `${concerned.consumer.id} ${whatHappened(error, concerned.consumer)}`;
  return new BrokerError('consumer_failed', text, concernedOptions(concerned, { cause: error }));
}

function whatHappened(error: Error, consumer: ConsumerConfiguration): string {
  const { code } = systemError(error);
  const { authority } = originOf(consumer);
  if (code === null) return `at ${authority} did not answer: ${error.message}`;
  if (code.startsWith('HPE_') || code.startsWith('ERR_')) {
    return `at ${authority} answered with something that is not valid HTTP: ${error.message}`;
  }
  switch (code) {
    case 'ECONNREFUSED':
      return `refused the connection at ${authority}, although its last health probe was good; is it restarting?`;
    case 'ECONNRESET':
    case 'EPIPE':
      return `at ${authority} closed the connection before its answer was complete; its own log should say why`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `could not be found: the name in ${authority} is not known here`;
    default:
      return `could not be reached at ${authority} (${code})`;
  }
}

export function timeoutOf(name: LimitName, limitMs: number, concerned: Concerned): BrokerError {
  const { consumer } = concerned;
  const limit = `timeouts.${name} (${durationText(limitMs)})`;
  const texts: Readonly<Record<LimitName, string>> = {
    connect: `${consumer.id} accepted no connection at ${originOf(consumer).authority} within ${limit}`,
    first_byte: `${consumer.id} sent no answer within ${limit}`,
    idle: `${consumer.id} was silent in the middle of its answer for ${limit}`,
    run: `${consumer.id} did not complete its answer within ${limit}`,
    upload: `the request body was not complete within ${limit}`,
  };
  const code = name === 'upload' ? 'upload_timeout' : 'consumer_timeout';
  return new BrokerError(code, texts[name], concernedOptions(concerned));
}
