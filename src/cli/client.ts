/**
 * The only way from a command to the control plane. Owns one request at a time, with limits of time and size. Throws
 * Unreachable where no daemon answers, Refusal with the daemon's own sentence where it says no.
 */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Refusal, Unreachable } from './failures.js';
import { JsonView } from './json-view.js';
import type { DaemonAddress } from './url.js';

export interface Client {
  readonly address: DaemonAddress;
  get(path: string): Promise<unknown>;
  /** `mayTakeMs`: for what takes its time, such as a load; default 10 s. */
  send(method: 'POST' | 'DELETE', path: string, mayTakeMs?: number): Promise<unknown>;
  /** An answer without an end. It fails when nothing came for `silenceMs`, or when `signal` says so. */
  open(path: string, options: { readonly silenceMs: number; readonly signal: AbortSignal }): Promise<IncomingMessage>;
}

const ANSWER_MAY_TAKE_MS = 10_000;
const LARGEST_ANSWER_BYTES = 64 * 1024 * 1024;

export function createClient(address: DaemonAddress): Client {
  const unreachable = (cause: string) => new Unreachable(address.url, address.source, cause);

  async function json(method: string, path: string, mayTakeMs = ANSWER_MAY_TAKE_MS): Promise<unknown> {
    const answer = await ask(method, path, { signal: AbortSignal.timeout(mayTakeMs) });
    const value = parse(await bodyOf(answer));
    if (isGood(answer)) return value;
    throw refusalOf(answer, value);
  }

  function parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw unreachable('what answers there is not mGPUmanager (its answer is no JSON)');
    }
  }

  function refusalOf(answer: IncomingMessage, value: unknown): Error {
    const message = new JsonView(value).at('error').text('message');
    if (message !== null) return new Refusal(message);
    return unreachable(`what answers there is not mGPUmanager (HTTP ${answer.statusCode})`);
  }

  async function ask(method: string, path: string, options: RequestOptions): Promise<IncomingMessage> {
    const url = new URL(address.url + path);
    const request = url.protocol === 'https:' ? (await import('node:https')).request : httpRequest;
    const headers = { Accept: 'application/json, text/event-stream' };
    return await new Promise<IncomingMessage>((resolve, reject) => {
      const call = request(url, { ...options, method, headers, agent: false }, resolve);
      call.on('error', (error) => reject(unreachable(causeOf(error))));
      call.on('timeout', () => call.destroy(new Error('nothing came any more')));
      call.end();
    });
  }

  async function bodyOf(answer: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    try {
      for await (const chunk of answer) {
        chunks.push(chunk);
        sizeBytes += chunk.length;
        if (sizeBytes > LARGEST_ANSWER_BYTES) throw new Error('its answer is larger than 64 MiB');
      }
    } catch (error) {
      throw unreachable(causeOf(error));
    }
    return Buffer.concat(chunks).toString('utf8');
  }

  return {
    address,
    get: (path) => json('GET', path),
    send: json,
    async open(path, { silenceMs, signal }) {
      const answer = await ask('GET', path, { timeout: silenceMs, signal });
      if (isGood(answer)) return answer;
      throw refusalOf(answer, parse(await bodyOf(answer)));
    },
  };
}

const isGood = ({ statusCode = 0 }: IncomingMessage): boolean => statusCode >= 200 && statusCode < 300;

const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'the host name is not known here',
  EHOSTUNREACH: 'no way leads to that host',
  ENETUNREACH: 'no way leads to that network',
  ETIMEDOUT: 'no answer in time',
};

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError' || (error.cause instanceof Error && error.cause.name === 'TimeoutError')) {
    return `no answer within ${ANSWER_MAY_TAKE_MS / 1000} s`;
  }
  const code = 'code' in error ? String(error.code) : '';
  return CAUSES[code] ?? (error.message || code);
}
