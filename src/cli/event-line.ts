/** One event of `/v1/events` as one line. Owns no state. */

import type { ServerEvent } from './event-stream.js';
import { JsonView } from './json-view.js';
import { clockTime, duration, gib, UNKNOWN } from './words.js';

/** `14:03:02  job       ended      j_…  ollama qwen3:8b  done after running 2.1 s` */
export function eventLine({ name, data }: ServerEvent): string {
  const event = new JsonView(parse(data));
  return `${clockTime(event.time('at'))}  ${name.padEnd(8)}  ${describe(name, event, data)}`;
}

/** What is no JSON is shown as it is. */
function parse(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}

function describe(name: string, event: JsonView, data: string): string {
  switch (name) {
    case 'job':
      return jobText(event.text('change') ?? UNKNOWN, event.at('job'));
    case 'consumer':
      return `${event.text('consumer') ?? UNKNOWN} is ${event.text('health') ?? UNKNOWN}${after(': ', event.text('health_error'))}`;
    case 'gpu':
      return gpuText(event.at('gpu'));
    case 'config':
      return configText(event.texts('consumers_added'), event.texts('consumers_removed'));
    case 'operator':
      return `${event.text('action') ?? UNKNOWN} by ${event.text('by') ?? UNKNOWN}`;
    default:
      // A newer daemon tells more than this command knows of.
      return event.text('message') ?? data;
  }
}

const after = (separator: string, text: string | null): string => (text === null ? '' : separator + text);

function jobText(change: string, job: JsonView): string {
  const what = `${job.text('id') ?? UNKNOWN}  ${job.text('consumer') ?? UNKNOWN}${after(' ', job.text('model'))}`;
  return `${change.replaceAll('_', ' ').padEnd(9)}  ${what}${jobDetail(change, job)}`;
}

function jobDetail(change: string, job: JsonView): string {
  switch (change) {
    case 'queued':
      return after('  ', job.at('reason').text('text'));
    case 'granted':
      return `  waited ${duration(job.number('waited_ms'))}`;
    case 'ended': {
      const code = job.text('code');
      const end = `${(job.text('end') ?? UNKNOWN).replaceAll('_', ' ')}${code === null ? '' : ` (${code})`}`;
      const runMs = job.number('run_ms');
      return `  ${end}${runMs === null ? '' : `, ran ${duration(runMs)}`}${after(': ', job.text('message'))}`;
    }
    default:
      return '';
  }
}

function gpuText(gpu: JsonView): string {
  const error = gpu.text('error');
  if (error !== null) return `cannot be read: ${error}`;
  const cards = gpu.list('cards').map((card) => {
    return `card ${card.number('index') ?? UNKNOWN}: ${gib(card.number('used_mib'))} of ${gib(card.number('total_mib'))} GiB used`;
  });
  return cards.length === 0 ? 'no card' : cards.join('; ');
}

function configText(added: readonly string[], removed: readonly string[]): string {
  const changes = [...added.map((each) => `+${each}`), ...removed.map((each) => `-${each}`)];
  return `a configuration came into force${changes.length === 0 ? '' : ` (${changes.join(' ')})`}`;
}
