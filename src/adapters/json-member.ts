/** Finds one member of a body that is a JSON object, wherever it stands. Owns nothing. */

import { JsonWalk } from '../server/json-walk.js';
import type { BodySource } from './adapter.js';

/** Longer names than this are nobody's. */
const LONGEST_TEXT_BYTES = 1024;

/**
 * The member's text; null where it is no string, is missing, or the body is no whole JSON object. Of equal names the
 * last wins. Names are compared without regard to case, as Go's `encoding/json` matches them to its fields.
 */
export async function topLevelString(body: BodySource, member: string): Promise<string | null> {
  let found: string | null = null;
  let isList = false;
  const walk = new JsonWalk({ deepest: 1, longestTextBytes: LONGEST_TEXT_BYTES }, ([name], text) => {
    isList = typeof name === 'number';
    if (typeof name === 'string' && name.toLowerCase() === member) found = text;
  });
  for await (const chunk of body.read()) {
    walk.take(chunk);
    if (walk.state !== 'open' || isList) break;
  }
  return walk.state === 'whole' ? found : null;
}
