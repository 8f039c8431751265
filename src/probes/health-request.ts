/** One health probe: what is asked of a consumer, and what its answer says. Keeps nothing; never logs. */
import type { ConsumerConfiguration, HealthCheck } from '../config/configuration.js';
import { boundedGet, type GetEnd, type Missing } from './bounded-get.js';

export interface Verdict {
  readonly result: 'good' | 'bad' | 'timed_out';
  /** For people: what happened, where; null when good. */
  readonly error: string | null;
}

export async function askHealth(
  consumer: Pick<ConsumerConfiguration, 'url' | 'health' | 'headers'>,
  limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Verdict> {
  const { url, health, headers } = consumer;
  const end = await boundedGet({ url, path: health.path, headers, ...limits });
  switch (end.type) {
    case 'answered':
      return judge(end, health, new URL(url).host);
    case 'timed_out':
      return { result: 'timed_out', error: end.error };
    case 'failed':
      return { result: 'bad', error: end.error };
  }
}

function judge(answer: Extract<GetEnd, { type: 'answered' }>, health: HealthCheck, place: string): Verdict {
  const { status } = answer;
  const asked = `GET ${health.path} at ${place} answered ${status}`;
  const { expect } = health;
  if (expect === null) {
    if (health.anyAnswer) return status < 500 ? GOOD : bad(`${asked}, and anything below 500 would be well`);
    return isSuccess(status) ? GOOD : bad(`${asked}, not 200 to 299`);
  }
  if ('statuses' in expect) {
    return expect.statuses.includes(status) ? GOOD : bad(`${asked}, not ${expect.statuses.join(' or ')}`);
  }
  // An error page can contain any word.
  if (!isSuccess(status)) return bad(`${asked}, not 200 to 299`);
  if (answer.body.includes(expect.text)) return GOOD;
  const text = `${asked} without the text that health.expect names${WHY_MISSING[answer.missing ?? 'nothing']}`;
  return { result: answer.missing === 'late' ? 'timed_out' : 'bad', error: text };
}

const WHY_MISSING: Readonly<Record<Missing | 'nothing', string>> = {
  nothing: '',
  cut: '; the answer was cut',
  long: ' in its first 64 KiB',
  late: ' in time; the rest of the answer did not come',
};

const GOOD: Verdict = { result: 'good', error: null };
const bad = (error: string): Verdict => ({ result: 'bad', error });
const isSuccess = (status: number): boolean => status >= 200 && status <= 299;
