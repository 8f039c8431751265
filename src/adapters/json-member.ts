/** The name in a body: its top-level string member, wherever it stands. Keeps nothing; never throws on bad bodies. */
import { MemberScanner } from '../server/json-members.js';
import type { BodySource } from './adapter.js';

export async function topLevelString(body: BodySource, member: string): Promise<string | null> {
  const scanner = new MemberScanner([member]);
  for await (const chunk of body.read()) {
    scanner.take(chunk);
    if (scanner.isHopeless) return null;
  }
  const value = scanner.members.get(member)?.value;
  return typeof value === 'string' ? value : null;
}
