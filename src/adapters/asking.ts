/**
 * Small questions to a service: one short-lived connection each (a pooled one may be closed under us in the moment it
 * is used), a limit on time and on size. Owns nothing.
 */
import { request } from 'node:http';
import { connect } from 'node:net';
import type { ConsumerConfiguration } from '../config/configuration.js';

export interface Question {
  readonly method: string;
  readonly path: string;
  /** Sent as JSON; absent: no body. */
  readonly json?: unknown;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** What an answer to a question may weigh: ComfyUI's queue holds whole graphs. */
const LARGEST_ANSWER_BYTES = 16 * 1024 * 1024;

/** The service refused the connection: nobody listens there, so its process is gone (or not there yet). */
export class ServiceGone extends Error {
  override readonly name = 'ServiceGone';
}

/** Rejects with `ServiceGone` when refused, with another Error on time-out, reset and garbage. */
export function askService(consumer: ConsumerConfiguration, question: Question): Promise<Answer> {
  const body = question.json === undefined ? question.body : JSON.stringify(question.json);
  const headers: Record<string, string | number> = {
    ...(question.json === undefined ? {} : { 'content-type': 'application/json' }),
    ...question.headers,
    ...consumer.headers,
    ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
  };
  return new Promise((resolve, reject) => {
    const call = request(consumer.url + question.path, { method: question.method, headers, agent: false });
    const fail = (error: Error) => {
      clearTimeout(timer);
      call.destroy();
      reject(toGone(error, consumer));
    };
    const timer = setTimeout(
      () =>
        fail(
          new Error(
            `${consumer.id} did not answer ${question.method} ${question.path} within ${question.timeoutMs} ms`,
          ),
        ),
      question.timeoutMs,
    );
    call.on('error', fail);
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      let sizeBytes = 0;
      response.on('error', fail);
      response.on('data', (chunk: Buffer) => {
        sizeBytes += chunk.length;
        if (sizeBytes > LARGEST_ANSWER_BYTES) fail(new Error(`${consumer.id} answered more than 16 MiB`));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        clearTimeout(timer);
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) });
      });
      response.on('aborted', () => fail(new Error(`${consumer.id} broke off its answer`)));
    });
    call.end(body);
  });
}

function toGone(error: Error, consumer: ConsumerConfiguration): Error {
  const refused = 'code' in error && error.code === 'ECONNREFUSED';
  return refused ? new ServiceGone(`${consumer.id} refuses connections at ${consumer.url}`, { cause: error }) : error;
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
    socket.on('error', (error) => end(!('code' in error && error.code === 'ECONNREFUSED')));
  });
}
