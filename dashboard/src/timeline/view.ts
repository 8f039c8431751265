/**
 * Which stretch of time is looked at: it follows the present until somebody moves it. Owns that choice; pure functions
 * make the next one from the last.
 */

export interface View {
  readonly lengthMs: number;
  /** null: it ends now and goes on with time. */
  readonly endsAt: number | null;
}

export const LENGTHS = [
  { label: '2 min', ms: 2 * 60_000 },
  { label: '10 min', ms: 10 * 60_000 },
  { label: '1 h', ms: 3_600_000 },
  { label: '3 h', ms: 3 * 3_600_000 },
] as const;

const SHORTEST_MS = 15_000;
const LONGEST_MS = 3 * 3_600_000;
const DAY_MS = 24 * 3_600_000;

export const START: View = { lengthMs: 10 * 60_000, endsAt: null };

export function stretchOf(view: View, now: number): { from: number; to: number } {
  const to = view.endsAt ?? now;
  return { from: to - view.lengthMs, to };
}

/** Back for positive `byMs`. Coming to the present, the view follows it again. */
export function moved(view: View, byMs: number, now: number): View {
  const endsAt = Math.max((view.endsAt ?? now) - byMs, now - DAY_MS + view.lengthMs);
  return { ...view, endsAt: endsAt >= now ? null : endsAt };
}

/** `factor` below 1 comes closer; `around` keeps its place. */
export function zoomed(view: View, factor: number, around: number, now: number): View {
  const lengthMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, view.lengthMs * factor));
  if (view.endsAt === null && around >= now - view.lengthMs * 0.1) return { lengthMs, endsAt: null };
  const end = view.endsAt ?? now;
  const endsAt = around + (end - around) * (lengthMs / view.lengthMs);
  return { lengthMs, endsAt: endsAt >= now ? null : endsAt };
}
