/**
 * For one demand on the card, what has to happen next, in named stages: possible at all · resident · fits · fits after
 * evicting these · wait, with the reason and what wakes it · never. Reads the state, changes nothing.
 */
import { footprintOf, shareMib } from './footprints.js';
import { headroomMib, heldByProcesses, isForeignBusy } from './ledger.js';
import { askVerdict, type Demand, foreignVerdict, isOnCards, mustAsk, type Plan, sumOf, type Verdict } from './plan.js';
import type { Need } from './policies/vram-lru.js';
import { impossible, mustNotStart } from './possible.js';
import { consumersOf, targetStateOf } from './residency.js';
import { makeRoom } from './room.js';
import type { BrokerState, ConsumerState, TargetState } from './state.js';

/** `makesRoom: false`: the lock alone, nothing is evicted and nothing is checked; a parked unit is started all the same. */
export function planFor(state: BrokerState, consumer: ConsumerState, demand: Demand, makesRoom: boolean): Verdict {
  const target = targetStateOf(state, demand.target);
  const need = needOf(state, consumer, target, demand);
  const needMib = sumOf(need.values());
  const plan: Plan = { state, consumer, target, demand, need, needMib, freeMib: freeFor(state, need, target) };
  const next = { kind: nextStep(plan, makesRoom), need } as const;
  if (!makesRoom) return mustNotStart(consumer) ?? (next.kind === 'go' ? next : (notItsTime(plan) ?? next));
  return impossible(plan) ?? notItsTime(plan) ?? foreignBusy(plan) ?? unheardNeighbour(plan) ?? makeRoom(plan) ?? next;
}

/** What is there already need not be found again: a resident needs only its run, residue counts towards a load. */
function needOf(state: BrokerState, consumer: ConsumerState, target: TargetState, demand: Demand): Need {
  const footprint = footprintOf(state, target);
  const need = new Map<number, number>();
  for (const card of consumer.settings.cards) {
    const run = demand.runs ? shareMib(consumer, footprint.runMib) : 0;
    need.set(
      card,
      run + (target.residency === 'resident' ? 0 : restOfLoad(state, consumer, footprint.residentMib, card)),
    );
  }
  return need;
}

function restOfLoad(state: BrokerState, consumer: ConsumerState, residentMib: number, card: number): number {
  const share = shareMib(consumer, residentMib);
  if (consumer.settings.swaps === 'models') return share;
  return Math.max(0, share - (heldByProcesses(state, consumer.id, card) ?? 0));
}

function freeFor(state: BrokerState, need: Need, target: TargetState): number | null {
  const free = [...need.keys()].map((card) => headroomMib(state, card, target));
  return free.some((mib) => mib === null) ? null : sumOf(free.map((mib) => mib ?? 0));
}

/** Its target is on its way somewhere, or must cool down. */
function notItsTime({ state, target }: Plan): Verdict | null {
  const since = target.since;
  if (target.residency === 'loading') {
    const usualMs = state.learned.get(target.name)?.loadMs ?? null;
    return { kind: 'wait', reason: { code: 'loading', target: target.target, since, usualMs } };
  }
  if (target.residency === 'evicting') {
    return { kind: 'wait', reason: { code: 'load_queue', target: target.target, since } };
  }
  if (target.residency !== 'resident' && target.coolUntil !== null && target.coolUntil > state.now) {
    const until = target.coolUntil;
    const reason = { code: 'cooling_down', target: target.target, failures: target.failures, until } as const;
    return { kind: 'aside', reason, retryAt: until };
  }
  return null;
}

/** Its own consumer works for somebody else. */
function foreignBusy(plan: Plan): Verdict | null {
  const { consumer, demand } = plan;
  if (mustAsk(consumer, demand)) return askVerdict(plan, consumer);
  return isForeignBusy(consumer) && !consumer.parked ? foreignVerdict(plan, consumer) : null;
}

/** Before a load: work past us that has just begun takes memory which no reading shows yet. */
function unheardNeighbour(plan: Plan): Verdict | null {
  const { state, target, demand } = plan;
  if (target.residency === 'resident') return null;
  const mayWork = consumersOf(state).filter((one) => one.settings.asksForeignWork && isOnCards(plan, one));
  const unheard = mayWork.find((one) => mustAsk(one, demand));
  return unheard === undefined ? null : askVerdict(plan, unheard);
}

function nextStep({ consumer, target, demand }: Plan, makesRoom: boolean): 'go' | 'load' | 'start' {
  if (target.residency === 'resident') return 'go';
  const down = consumer.health === 'down' && consumer.settings.start === 'on-demand' && consumer.settings.unit !== null;
  if (consumer.parked || down) return 'start';
  if (!demand.runs || (makesRoom && consumer.settings.loads === 'by_call')) return 'load';
  return 'go';
}
