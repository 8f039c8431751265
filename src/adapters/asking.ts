/**
 * Small questions to a service: one short-lived connection each (a pooled one may be closed under us in the moment it
 * is used), a limit on time and on size. Owns nothing.
 */
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import type { ConsumerConfiguration } from '../config/configuration.js';

export interface Question {
  readonly method: string;
  readonly path: string;
  /** Sent as JSON; absent: no body. */
  readonly json?: unknown;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** For the whole answer. */
  readonly timeoutMs: number;
  /** Gets the answer's body piece by piece; then none of it is held. */
  readonly piece?: (chunk: Buffer) => void;
}

export interface Answer {
  readonly status: number;
  /** Empty where `piece` had it. */
  readonly body: Buffer;
}

const BYTES_PER_MIB = 1024 * 1024;
/** What an answer may weigh that is held, and one that is only seen coming by. */
const LARGEST_HELD_BYTES = 16 * BYTES_PER_MIB;
const LARGEST_SEEN_BYTES = 1024 * BYTES_PER_MIB;

/** The service refused the connection: nobody listens there, so its process is gone (or not there yet). */
export class ServiceGone extends Error {
  override readonly name = 'ServiceGone';
}

/** Resolves with a whole answer, whatever its status. Rejects with `ServiceGone` when refused, else with another Error. */
export function askService(consumer: ConsumerConfiguration, question: Question): Promise<Answer> {
  const { method, path, timeoutMs } = question;
  const body = question.json === undefined ? question.body : JSON.stringify(question.json);
  const headers: Record<string, string | number> = {
    ...(question.json === undefined ? {} : { 'content-type': 'application/json' }),
    ...question.headers,
    ...consumer.headers,
    ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
  };
  return new Promise((resolve, reject) => {
    const call = request(consumer.url + path, { method, headers, agent: false });
    const timer = setTimeout(() => {
      reject(new Error(`${consumer.id} did not answer ${method} ${path} within ${Math.round(timeoutMs)} ms`));
      call.destroy();
    }, timeoutMs);
    call.once('close', () => clearTimeout(timer));
    call.on('error', (error) => reject(goneOr(error, consumer)));
    call.on('response', (answer) => {
      takeAnswer(answer, consumer, question.piece).then(resolve, (error: unknown) => {
        call.destroy();
        reject(error);
      });
    });
    call.end(body);
  });
}

async function takeAnswer(
  answer: IncomingMessage,
  { id }: ConsumerConfiguration,
  piece: Question['piece'],
): Promise<Answer> {
  const held: Buffer[] = [];
  const largestBytes = piece === undefined ? LARGEST_HELD_BYTES : LARGEST_SEEN_BYTES;
  let sizeBytes = 0;
  for await (const chunk of answer) {
    const bytes: Buffer = chunk;
    sizeBytes += bytes.length;
    if (sizeBytes > largestBytes) throw new Error(`${id} answered more than ${largestBytes / BYTES_PER_MIB} MiB`);
    if (piece === undefined) held.push(bytes);
    else piece(bytes);
  }
  return { status: answer.statusCode ?? 0, body: Buffer.concat(held) };
}

const isRefused = (error: Error): boolean => 'code' in error && error.code === 'ECONNREFUSED';

function goneOr(error: Error, { id, url }: ConsumerConfiguration): Error {
  return isRefused(error) ? new ServiceGone(`${id} refuses connections at ${url}`, { cause: error }) : error;
}

/** Whether anything listens at the consumer's address. A time-out counts as listening: a busy service is not gone. */
export function isListening(consumer: ConsumerConfiguration, timeoutMs: number): Promise<boolean> {
  const { hostname, port } = new URL(consumer.url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 80 : Number(port) });
    const end = (listening: boolean) => {
      socket.destroy();
      resolve(listening);
    };
    socket.setTimeout(timeoutMs, () => end(true));
    socket.on('connect', () => end(true));
    socket.on('error', (error) => end(!isRefused(error)));
  });
}
