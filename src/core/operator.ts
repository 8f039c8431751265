/** What operators ask for: at once where it is a word, through the errands where it needs the card. */
import type { EventOf, OperatorAction } from './events.js';
import { findJob, outcomeOf, refuseWaiting, type Step, stopJob } from './jobs.js';
import { answer } from './operations.js';
import { saveMemory } from './remembering.js';
import { targetStateOf } from './residency.js';
import { targetName } from './vocabulary.js';

export function obeyOperator(step: Step, { action, by }: EventOf<'OperatorAsked'>): void {
  step.commands.push({ type: 'RecordFact', fact: { type: 'operator', action: nameOf(action), by } });
  obey(step, action, by);
}

function nameOf(action: OperatorAction): string {
  if (action.kind === 'cancel') return `cancel ${action.job}`;
  return 'target' in action ? `${action.kind} ${targetName(action.target)}` : action.kind;
}

function obey(step: Step, action: OperatorAction, by: string): void {
  const { state } = step;
  switch (action.kind) {
    case 'cancel': {
      const job = findJob(step, action.job);
      if (job === null || job.outcome !== null) return;
      stopJob(step, job, outcomeOf('cancelled', 'cancelled_by_operator', `cancelled by ${by}`));
      return;
    }
    case 'load':
    case 'evict':
      takeErrand(step, action);
      return;
    case 'pin':
    case 'unpin':
    case 'forget':
      note(step, action);
      return;
    case 'drain':
      if (state.mode === 'ready') state.mode = 'draining';
      return;
    case 'resume':
      if (state.mode === 'draining') state.mode = 'ready';
      return;
    case 'shut_down': {
      state.mode = 'shutting_down';
      const outcome = outcomeOf(
        'refused',
        'draining',
        'the broker is stopping; send the request again when it is back',
      );
      refuseWaiting(step, null, outcome);
    }
  }
}

function takeErrand(step: Step, action: Extract<OperatorAction, { readonly kind: 'load' | 'evict' }>): void {
  const deadline = action.timeoutMs === null ? null : step.now + action.timeoutMs;
  const { kind, target, request } = action;
  step.state.errands.push({ kind, target, request, askedAt: step.now, deadline });
}

function note(step: Step, action: Extract<OperatorAction, { readonly kind: 'pin' | 'unpin' | 'forget' }>): void {
  const target = targetStateOf(step.state, action.target);
  const said = {
    pin: 'is pinned: the broker never evicts it',
    unpin: 'is not pinned any more',
    forget: 'is forgotten',
  };
  if (action.kind === 'forget') {
    step.state.learned.delete(target.name);
    if (action.target.model === null) step.state.residues.delete(action.target.consumer);
    target.runsObserved = 0;
  } else target.pinnedByOperator = action.kind === 'pin';
  saveMemory(step);
  answer(step, action.request, { ok: true, message: `${target.name} ${said[action.kind]}` });
}
