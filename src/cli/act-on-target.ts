/**
 * `mgpu load|evict|pin|unpin|forget TARGET`: asks the daemon for it and says what came of it. A target is `CONSUMER` or
 * `CONSUMER/MODEL`.
 */
import { targetOfName } from '../core/vocabulary.js';
import type { Client } from './client.js';
import { JsonView } from './json-view.js';
import { printLines } from './screen.js';
import type { TargetAction } from './target-actions.js';

/** The daemon's own limit for a load or an eviction, and a little more. */
const MAY_TAKE_S = 600;
const GRACE_S = 30;

export async function actOnTarget(
  client: Client,
  action: TargetAction,
  name: string,
  timeoutS: string | undefined,
): Promise<void> {
  const { consumer, model } = targetOfName(name);
  const query = new URLSearchParams();
  if (model !== null) query.set('model', model);
  if (timeoutS !== undefined) query.set('timeout', timeoutS);
  const asked = query.size === 0 ? '' : `?${query}`;
  const mayTakeMs = (Number(timeoutS ?? MAY_TAKE_S) + GRACE_S) * 1000;
  const path = `/v1/consumers/${encodeURIComponent(consumer)}/${action}${asked}`;
  const answer = new JsonView(await client.send('POST', path, mayTakeMs));
  printLines(process.stdout, [answer.text('message') ?? `${action} ${name}: done`]);
}
