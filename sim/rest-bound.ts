/** The bound of all waiting once nothing goes wrong any more: what the judge of waits holds the core to. */
import { RUN_LIMIT_MS } from './clients.js';
import type { WorldPlan } from './plan.js';

/**
 * How long everybody who waits when nothing goes wrong any more may still wait, ms. Once: the ladder of an unload that
 * was under way (asked twice, then its unit), the longest pause before a stuck one is tried again and its ladder, a
 * load and a start that hang, a run that hangs, the longest cool-down, a wait for strangers' room. For each job: every
 * target leaves once, honestly, then a start, a load, a run.
 */
export function restBoundMs(plan: WorldPlan, jobs: number): number {
  const settings = plan.services.map((service) => service.settings);
  const unloadMs = Math.max(...settings.map((one) => one.unloadTimeoutMs));
  const loadMs = Math.max(...settings.map((one) => one.loadTimeoutMs));
  const ladderMs = 2 * (unloadMs + 5000) + Math.max(unloadMs, 15_000) + 5000;
  const onceMs = 2 * ladderMs + 45_000 + 2 * (loadMs + 5000) + RUN_LIMIT_MS + 60_000 + plan.settings.noRoomMs;
  const targets = plan.services.reduce((sum, service) => sum + service.sizes.size, 0);
  return onceMs + jobs * (targets * 2000 + 12_000);
}
