/** A file that a consumer's answer names, read from the consumer itself. Owns the one connection until it is read. */
import { type IncomingMessage, request } from 'node:http';
import type { ConsumerConfiguration } from '../config/configuration.js';
import { BrokerError } from '../errors.js';

const SILENCE_MS = 30_000;

/** `name`: a path, or an address whose host is not looked at: the file is the consumer's. */
export function openFile(consumer: ConsumerConfiguration, name: string, signal: AbortSignal): Promise<IncomingMessage> {
  const base = new URL(consumer.url);
  if (!URL.canParse(name, consumer.url)) throw failed(consumer, `names a file that is no path: ${name.slice(0, 100)}`);
  const { pathname, search } = new URL(name, base);
  const prefix = base.pathname.replace(/\/$/, '');
  const path = (prefix !== '' && !pathname.startsWith(`${prefix}/`) ? prefix + pathname : pathname) + search;
  return new Promise((resolve, reject) => {
    const call = request({
      ...{ host: base.hostname.replace(/^\[|\]$/g, ''), port: base.port === '' ? 80 : base.port, path, agent: false },
      ...{ headers: consumer.headers, signal, timeout: SILENCE_MS },
    });
    call.once('timeout', () => call.destroy(new Error(`silent for ${SILENCE_MS / 1000} s`)));
    call.once('error', (cause) => reject(failed(consumer, `did not give the file ${path}: ${cause.message}`, cause)));
    call.once('response', (answer) => {
      if (answer.statusCode === 200) {
        resolve(answer);
        return;
      }
      answer.resume();
      reject(failed(consumer, `answered ${answer.statusCode} for the file ${path} that it named`));
    });
    call.end();
  });
}

const failed = ({ id }: ConsumerConfiguration, what: string, cause?: unknown): BrokerError =>
  new BrokerError('consumer_failed', `${id} ${what}`, { consumer: id, cause });
