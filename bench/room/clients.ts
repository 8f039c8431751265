/** Clients that post one job after another and count how each ended. Owns its counts; no job is given up. */
export interface JobRequest {
  readonly path: string;
  readonly body: string;
}

export interface Outcome {
  /** By status, and the broker's own code where there is one. */
  readonly answers: Readonly<Record<string, number>>;
  /** The connection broke, or nothing came within the bound. */
  readonly lost: number;
  /** The first few answers that were no good, as the client saw them. */
  readonly complaints: readonly string[];
  readonly longestS: number;
  readonly wallS: number;
}

/** `next` gives each client its next job, undefined when there are no more. */
export async function runClients(
  url: string,
  clients: number,
  boundMs: number,
  next: (client: number) => JobRequest | undefined,
): Promise<Outcome> {
  const answers: Record<string, number> = {};
  const complaints: string[] = [];
  let lost = 0;
  let longestMs = 0;
  const startedAt = performance.now();
  const run = async (client: number): Promise<void> => {
    for (let job = next(client); job !== undefined; job = next(client)) {
      const askedAt = performance.now();
      try {
        const { key, text } = await post(url, job, boundMs);
        answers[key] = (answers[key] ?? 0) + 1;
        if (key !== '200' && complaints.length < KEPT_COMPLAINTS) complaints.push(`${key} ${job.path}: ${text}`);
      } catch (error) {
        lost += 1;
        if (complaints.length < KEPT_COMPLAINTS) complaints.push(`${job.path}: ${String(error)}`);
      }
      longestMs = Math.max(longestMs, performance.now() - askedAt);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, client) => run(client)));
  return { answers, lost, complaints, longestS: seconds(longestMs), wallS: seconds(performance.now() - startedAt) };
}

const KEPT_COMPLAINTS = 5;

const seconds = (ms: number): number => Math.round(ms / 100) / 10;

async function post(url: string, { path, body }: JobRequest, boundMs: number): Promise<{ key: string; text: string }> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url + path, { method: 'POST', headers, body, signal: AbortSignal.timeout(boundMs) });
  const text = await answer.text();
  // Below a service's own prefix an error has the service's shape, and the code is in a header.
  const code = answer.headers.get('x-mgpu-error') ?? /"code":"(\w+)"/.exec(text)?.[1];
  const key = code === undefined ? String(answer.status) : `${answer.status} ${code}`;
  return { key, text: text.slice(0, 200) };
}

/** A generator of numbers from 0 to 1 that gives the same ones for the same seed. */
export function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
