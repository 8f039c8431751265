/**
 * What operators want done with the card: a target loaded, a target evicted. Served before the queue, never at the
 * price of a run; each is answered once, when it is done or cannot be.
 */
import { askConsumer, type Step } from './jobs.js';
import { startLoad } from './loads.js';
import { answer, isInUse } from './operations.js';
import type { Demand, Verdict } from './plan.js';
import { planFor } from './planner.js';
import { policyOf } from './policies/registry.js';
import { targetStateOf } from './residency.js';
import { canBeAsked } from './startable.js';
import type { ConsumerState, Errand, TargetState } from './state.js';
import { startUnload } from './unloads.js';
import { targetName } from './vocabulary.js';
import { carryOutQuestion } from './watching.js';

/** Moves the first errand on. True: the card is busy with it, or will be. */
export function serveErrand(step: Step): boolean {
  const { state } = step;
  const errand = state.errands[0];
  if (errand === undefined || state.operation !== null) return false;
  const consumer = state.consumers.get(errand.target.consumer);
  if (consumer === undefined) {
    finish(step, errand, false, `${errand.target.consumer} is not in the configuration any more`);
    return false;
  }
  if (isInUse(state, consumer)) return true;
  return errand.kind === 'evict' ? runEvict(step, errand, consumer) : runLoad(step, errand, consumer);
}

function finish(step: Step, errand: Errand, ok: boolean, message: string): void {
  remove(step, errand);
  const failed = errand.kind === 'evict' ? 'evict_failed' : 'load_failed';
  answer(step, errand.request, ok ? { ok, message } : { ok, code: failed, message });
}

function remove(step: Step, errand: Errand): void {
  step.state.errands = step.state.errands.filter((one) => one !== errand);
}

function runEvict(step: Step, errand: Errand, consumer: ConsumerState): boolean {
  const { state } = step;
  const name = targetName(errand.target);
  const target = state.targets.get(name);
  if (target === undefined || target.residency === 'absent' || target.residency === 'parked') {
    finish(step, errand, true, `${name} is not in VRAM (${target?.residency ?? 'never loaded'})`);
    return false;
  }
  if (!consumer.settings.unloadsByCall && consumer.settings.unit === null) {
    finish(step, errand, false, `${name} cannot be evicted: configure \`unload\` or \`unit\` for ${consumer.id}`);
    return false;
  }
  // Its job has ended, but no reading shows yet what it loaded.
  if (target.residency === 'loading') return true;
  if (canBeAsked(consumer) && (consumer.askedAt ?? -1) < errand.askedAt) {
    askConsumer(step, consumer);
    return true;
  }
  if ((consumer.foreignWork ?? 0) > 0) {
    finish(step, errand, false, `${name} works for somebody else right now; evicting it would break that off`);
    return false;
  }
  remove(step, errand);
  startUnload(step, target, consumer, { jobId: null, request: errand.request }, new Map(), {
    code: 'asked_by_operator',
  });
  return true;
}

function runLoad(step: Step, errand: Errand, consumer: ConsumerState): boolean {
  const { state } = step;
  const target = targetStateOf(state, errand.target);
  if (target.residency === 'resident') {
    finish(step, errand, true, `${target.name} is in VRAM`);
    return false;
  }
  const demand: Demand = { target: errand.target, runs: false, alone: false, since: errand.askedAt };
  const verdict = planFor(state, consumer, demand, policyOf(state.settings.policy).makesRoom);
  return carryOut(step, errand, consumer, target, verdict);
}

function carryOut(step: Step, errand: Errand, consumer: ConsumerState, target: TargetState, verdict: Verdict): boolean {
  const { state } = step;
  const reason = { code: 'asked_by_operator' } as const;
  const asker = { jobId: null, request: errand.request };
  switch (verdict.kind) {
    case 'go':
    case 'load':
      remove(step, errand);
      startLoad(step, 'load', target, consumer, asker, reason);
      return true;
    case 'start':
      // Where the start alone loads nothing, the load comes after it.
      if (consumer.settings.loads === 'at_start') {
        remove(step, errand);
        startLoad(step, 'start_unit', target, consumer, asker, reason);
      } else startLoad(step, 'start_unit', target, consumer, { jobId: null, request: null }, reason);
      return true;
    case 'evict': {
      const victim = state.consumers.get(verdict.victim.target.consumer);
      if (victim === undefined) return false;
      startUnload(
        step,
        verdict.victim,
        victim,
        { jobId: null, request: null },
        verdict.need,
        evictedFor(errand, verdict),
      );
      return true;
    }
    case 'never':
      finish(step, errand, false, verdict.message);
      return false;
    case 'aside':
      finish(step, errand, false, `there is no room for ${target.name} now (${verdict.reason.code})`);
      return false;
    default:
      carryOutQuestion(step, verdict);
      return true;
  }
}

function evictedFor(errand: Errand, verdict: Extract<Verdict, { kind: 'evict' }>) {
  const needMib = [...verdict.need.values()].reduce((sum, mib) => sum + mib, 0);
  return {
    code: 'evicted_for',
    job: null,
    for: errand.target,
    needMib,
    freeMib: verdict.freeMib,
    idleMs: null,
  } as const;
}

/** Errands whose operator waited long enough. */
export function endOverdueErrands(step: Step): void {
  for (const errand of [...step.state.errands]) {
    if (errand.deadline === null || step.now < errand.deadline) continue;
    finish(step, errand, false, `${targetName(errand.target)} did not become idle in time; nothing was broken off`);
  }
}
