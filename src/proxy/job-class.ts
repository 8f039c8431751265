/** How urgent a job is: its model's or its consumer's class, or a lower one that the caller asks for. Keeps nothing. */
import type { IncomingMessage } from 'node:http';
import type { ConsumerConfiguration } from '../config/configuration.js';
import { JOB_CLASSES, type JobClass } from '../core/vocabulary.js';
import { BrokerError } from '../errors.js';

/**
 * `X-MGPU-Class: interactive | normal | batch`. A higher class than the usual one is ignored: a client that always
 * sends the same one gets what it may have. The usual one is its model's, once that is known, else its consumer's.
 * Throws `bad_request` for a word that is no class.
 */
export function classOf(req: IncomingMessage, consumer: ConsumerConfiguration, model: string | null = null): JobClass {
  const usual = (model === null ? null : consumer.models.get(model)?.class) ?? consumer.class;
  const asked = req.headers['x-mgpu-class'];
  if (asked === undefined) return usual;
  const wanted = JOB_CLASSES.find((known) => known === asked);
  if (wanted === undefined) {
    const text = `X-MGPU-Class must be one of ${JOB_CLASSES.join(', ')}`;
    throw new BrokerError('bad_request', text, { param: 'X-MGPU-Class', consumer: consumer.id });
  }
  return JOB_CLASSES.indexOf(wanted) > JOB_CLASSES.indexOf(usual) ? wanted : usual;
}
