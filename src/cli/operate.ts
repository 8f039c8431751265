/** `mgpu cancel JOB`, `drain`, `resume`, `reload`: asks the daemon to do something and says what came of it. */
import type { Client } from './client.js';
import { Refusal } from './failures.js';
import { JsonView } from './json-view.js';
import { printLines } from './screen.js';
import { count, UNKNOWN } from './words.js';

const say = (text: string): void => printLines(process.stdout, [text]);

export async function cancelCommand(client: Client, id: string): Promise<void> {
  const answer = new JsonView(await client.send('DELETE', `/v1/jobs/${encodeURIComponent(id)}`));
  if (answer.flag('cancelled') === true) return say(`cancelled ${id}`);
  const end = answer.at('job').text('end')?.replaceAll('_', ' ') ?? UNKNOWN;
  throw new Refusal(`${id} was not cancelled: it has ended already (${end})`);
}

export async function drainCommand(client: Client): Promise<void> {
  const answer = new JsonView(await client.send('POST', '/v1/drain'));
  say(`${stateOf(answer)}; \`mgpu resume\` lets new jobs in again`);
}

export async function resumeCommand(client: Client): Promise<void> {
  say(stateOf(new JsonView(await client.send('POST', '/v1/resume'))));
}

function stateOf(answer: JsonView): string {
  const waiting = answer.number('queue_depth');
  const running = answer.number('in_flight');
  const jobs = [
    running === null ? null : count(running, 'job runs', 'jobs run'),
    waiting === null ? null : count(waiting, 'waits', 'wait'),
  ].filter((part) => part !== null);
  return `${answer.text('state') ?? UNKNOWN}: ${jobs.join(', ')}`;
}

export async function reloadCommand(client: Client): Promise<void> {
  const answer = new JsonView(await client.send('POST', '/v1/reload'));
  const restart = answer.texts('needs_restart');
  const done = answer.flag('changed') === true ? 'the configuration was read again and is in force' : 'nothing changed';
  say(restart.length === 0 ? done : `${done}; a restart is needed for ${restart.join(' and ')}`);
}
