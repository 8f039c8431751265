/** `mgpu status [--watch] [--json]`. Asks and shows; keeps only since when the daemon cannot be reached. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from './client.js';
import { Refusal, Unreachable } from './failures.js';
import { JsonView } from './json-view.js';
import { openScreen, printLines, type Screen, widthOf } from './screen.js';
import { statusLines } from './status-view.js';
import { stopSignal } from './stop-signal.js';
import { clockTime, dateAndTime, wrap } from './words.js';

export interface StatusFlags {
  readonly watch: boolean;
  readonly json: boolean;
}

const PATH = '/v1/status';
const EVERY_MS = 1000;

export async function statusCommand(client: Client, flags: StatusFlags): Promise<void> {
  if (flags.watch) return await watch(client, flags);
  const answer = await client.get(PATH);
  if (flags.json) process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
  else printLines(process.stdout, statusLines(new JsonView(answer), widthOf(process.stdout)));
}

async function watch(client: Client, flags: StatusFlags): Promise<void> {
  const stop = stopSignal();
  const show = flags.json ? jsonLine : shownOn(openScreen(process.stdout), client);
  try {
    while (!stop.aborted) {
      const asked = performance.now();
      show.draw(await askOnce(client));
      const restMs = Math.max(0, EVERY_MS - (performance.now() - asked));
      await sleep(restMs, undefined, { signal: stop }).catch(() => undefined);
    }
  } finally {
    show.close();
  }
}

type Answer = { readonly status: unknown } | { readonly problem: string };

/** Whatever stands in the way now may be gone in a second; only a bug ends the watching. */
async function askOnce(client: Client): Promise<Answer> {
  try {
    return { status: await client.get(PATH) };
  } catch (error) {
    if (error instanceof Unreachable) return { problem: error.causeText };
    if (error instanceof Refusal) return { problem: error.message };
    throw error;
  }
}

interface Shown {
  draw(answer: Answer): void;
  close(): void;
}

/** One line an answer, for programs; problems go to stderr. */
const jsonLine: Shown = {
  draw(answer) {
    if ('status' in answer) process.stdout.write(`${JSON.stringify(answer.status)}\n`);
    else printLines(process.stderr, [answer.problem]);
  },
  close() {},
};

function shownOn(screen: Screen, client: Client): Shown {
  let goneSince: number | null = null;
  let last: { readonly status: JsonView; readonly at: number } | null = null;

  function draw(answer: Answer): void {
    const now = Date.now();
    const width = screen.width();
    if ('status' in answer) {
      goneSince = null;
      last = { status: new JsonView(answer.status), at: now };
      screen.draw([`mgpu status  ${client.address.url}  ${dateAndTime(now)}`, '', ...statusLines(last.status, width)]);
      return;
    }
    goneSince ??= now;
    const gone = `${client.address.url} cannot be reached since ${clockTime(goneSince)}: ${answer.problem}. Trying again every second.`;
    const before =
      last === null ? [] : ['', `As it was at ${clockTime(last.at)}:`, '', ...statusLines(last.status, width)];
    screen.draw([...wrap(gone, width), ...before]);
  }

  return { draw, close: () => screen.close() };
}
