/**
 * Connection upgrades (websockets) below `/consumers/NAME/`: the handshake goes to the service, then bytes go both
 * ways as they are. Owns the pair of sockets until either closes.
 */
import { type IncomingMessage, request } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConsumerConfiguration } from '../config/configuration.js';
import type { BrokerError } from '../errors.js';
import type { Exchange } from '../server/exchange.js';
import { rawErrorAnswer } from '../server/respond.js';
import { failureOf, timeoutOf } from './failures.js';
import { answerHeaders, upgradeHeaders } from './headers.js';
import { originOf } from './origin.js';
import { type PassesDependencies, refuseDown } from './passes.js';
import { TimeLimits } from './time-limits.js';

export interface Upgrades {
  /** Throws `consumer_down`; whatever comes later is said on the socket. */
  pipe(
    exchange: Omit<Exchange, 'res'>,
    consumer: ConsumerConfiguration,
    path: string,
    socket: Duplex,
    head: Buffer,
  ): void;
}

export function createUpgrades(dependencies: PassesDependencies): Upgrades {
  return {
    pipe(exchange, consumer, path, socket, head) {
      refuseDown(dependencies, consumer);
      const concerned = { consumer, job: null };
      const { host, port, prefix } = originOf(consumer);
      const refuse = (error: BrokerError) => {
        limits.stopAll();
        asked.destroy();
        if (socket.destroyed) return;
        // What the client sent meanwhile is read, or the system would reset the connection and take the answer away.
        socket.resume();
        socket.end(rawErrorAnswer(error), () => socket.destroy());
      };
      const limits = new TimeLimits(dependencies.clock, (name, limitMs) => refuse(timeoutOf(name, limitMs, concerned)));
      const { connectMs, firstByteMs, runMs } = consumer.timeouts;
      const headers = upgradeHeaders(exchange, consumer);
      const asked = request({ host, port, path: prefix + path, headers, agent: false });
      limits.start('connect', connectMs);
      asked.once('socket', (upstream) =>
        upstream.once('connect', () => {
          limits.stop('connect');
          limits.start(firstByteMs === null ? 'run' : 'first_byte', firstByteMs ?? runMs);
        }),
      );
      asked.once('error', (error: Error) => refuse(failureOf(error, concerned)));
      asked.once('upgrade', (answer: IncomingMessage, upstream: Duplex, upstreamHead: Buffer) => {
        limits.stopAll();
        socket.write(rawHead(answer, ['Connection', 'Upgrade', 'Upgrade', answer.headers.upgrade ?? 'websocket']));
        if (upstreamHead.length > 0) socket.write(upstreamHead);
        if (head.length > 0) upstream.write(head);
        tie(socket, upstream);
      });
      // The service declines. Its answer passes, and the connection ends with it: what the client sends next on it
      // must come through our door again, not past it.
      asked.once('response', (answer: IncomingMessage) => {
        limits.stopAll();
        socket.write(rawHead(answer, ['Connection', 'close']));
        answer.on('error', () => socket.destroy());
        answer.pipe(socket);
      });
      socket.once('close', () => {
        limits.stopAll();
        asked.destroy();
      });
      asked.end();
    },
  };
}

/** The answer's head as it came, but for what belongs to the connection. Its body, if any, ends with the connection. */
function rawHead({ httpVersion, statusCode, statusMessage, rawHeaders }: IncomingMessage, own: string[]): string {
  const headers = [...answerHeaders(rawHeaders, false), ...own];
  let text = `HTTP/${httpVersion} ${statusCode} ${statusMessage}\r\n`;
  for (let at = 0; at + 1 < headers.length; at += 2) text += `${headers[at]}: ${headers[at + 1]}\r\n`;
  return `${text}\r\n`;
}

function tie(client: Duplex, upstream: Duplex): void {
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    if (one instanceof Socket) one.setNoDelay(true);
    one.on('error', () => other.destroy());
    one.once('close', () => other.destroy());
    one.pipe(other);
  }
}
