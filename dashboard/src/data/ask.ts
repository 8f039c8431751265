/** Requests to the daemon that this page came from. Keeps nothing. */
import { readErrorMessage } from './wire.js';

const LIMIT_MS = 20_000;

/** The daemon said no, in its own words, or it could not be reached. */
export class AskFailed extends Error {
  override readonly name = 'AskFailed';
}

export async function ask(path: string): Promise<unknown> {
  return answerOf(await reach(path, { signal: AbortSignal.timeout(LIMIT_MS) }));
}

/** An action may take as long as what it does: an eviction waits until the target is idle. */
export async function act(method: 'POST' | 'DELETE', path: string): Promise<unknown> {
  return answerOf(await reach(path, { method }));
}

async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { ...init, headers: { Accept: 'application/json' }, cache: 'no-store' });
  } catch (error) {
    throw new AskFailed('The daemon did not answer; see that it runs and that this machine reaches it.', {
      cause: error,
    });
  }
}

async function answerOf(response: Response): Promise<unknown> {
  const text = await response.text();
  const value = parsed(text);
  if (response.ok) return value;
  throw new AskFailed(readErrorMessage(value) ?? `The daemon answered ${response.status} to ${response.url}.`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Something between us and the daemon answered in another language; its status is told instead.
    return null;
  }
}
