/** `mgpu why JOB|TARGET`: what a job waited for and how it went on, or how a consumer is and its jobs. Keeps nothing. */
import type { Client } from './client.js';
import { Refusal } from './failures.js';
import { JsonView } from './json-view.js';
import { printLines, widthOf } from './screen.js';
import { jobHistory, jobSummary } from './why-job.js';
import { count, duration, gib, UNKNOWN, wrap } from './words.js';

const RECENT_JOBS = 10;

export async function whyCommand(client: Client, asked: string): Promise<void> {
  const width = widthOf(process.stdout);
  printLines(
    process.stdout,
    asked.startsWith('j_') ? await aboutJob(client, asked, width) : await aboutTarget(client, asked, width),
  );
}

async function aboutJob(client: Client, id: string, width: number): Promise<string[]> {
  return jobHistory(new JsonView(await client.get(`/v1/jobs/${encodeURIComponent(id)}`)), width);
}

/** A target is CONSUMER or CONSUMER/MODEL; names of models can have slashes themselves. */
async function aboutTarget(client: Client, target: string, width: number): Promise<string[]> {
  const slash = target.indexOf('/');
  const name = slash === -1 ? target : target.slice(0, slash);
  const model = slash === -1 ? null : target.slice(slash + 1);
  const consumers = new JsonView(await client.get('/v1/status')).members('consumers');
  const consumer = consumers.find(([known]) => known === name)?.[1];
  if (consumer === undefined) {
    const known = consumers.map(([each]) => each).join(', ');
    throw new Refusal(`${target} is neither a job (those begin with j_) nor a consumer; the consumers are: ${known}`);
  }
  const jobs = new JsonView(await client.get('/v1/jobs')).list('jobs').filter((job) => {
    return job.text('consumer') === name && (model === null || job.text('model') === model);
  });
  return [...consumerState(name, consumer, width), '', ...recentJobs(target, jobs, width)];
}

function consumerState(name: string, consumer: JsonView, width: number): string[] {
  const error = consumer.text('health_error');
  const health = consumer.text('health') ?? UNKNOWN;
  const p50 = duration(consumer.number('run_p50_ms'));
  const p95 = duration(consumer.number('run_p95_ms'));
  const number = (key: string) => consumer.number(key) ?? UNKNOWN;
  return [
    ...wrap(
      `${name} (${consumer.text('kind') ?? UNKNOWN} at ${consumer.text('url') ?? UNKNOWN}) is ${health}${error === null ? '' : `: ${error}`}`,
      width,
    ),
    `on the card: ${consumer.text('residency') ?? UNKNOWN}, ${gib(consumer.number('gpu_resident_mib'))} GiB`,
    `jobs: ${number('active')} run, ${number('queued')} wait, ${number('total_requests')} ended, ${number('failed_requests')} of them failed`,
    `a run takes ${p50} (median), ${p95} (95 of 100)`,
  ];
}

/** The daemon lists those that run, those that wait, then the newest that ended. */
function recentJobs(target: string, jobs: readonly JsonView[], width: number): string[] {
  if (jobs.length === 0) return [`No job of ${target} runs, waits or ended lately.`];
  const left = jobs.length - RECENT_JOBS;
  const more = left > 0 ? [`and ${count(left, 'older job', 'older jobs')}`] : [];
  return [...jobs.slice(0, RECENT_JOBS).flatMap((job) => jobSummary(job, width)), ...more];
}
