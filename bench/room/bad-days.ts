/** Hundreds of evictions in real time, of services of which some lie, hang or give their memory back late. */
import type { Fact } from '../../src/core/facts.js';
import { targetName } from '../../src/core/vocabulary.js';
import { startPlain, type UnloadManner } from '../../src/demo/services/plain.js';
import { numbersFrom, type Outcome, runClients } from './clients.js';
import { type Member, openScene } from './scene.js';

const CARD_MIB = 24_000;
const CLIENTS = 6;
const QUEUE_TIMEOUT_S = 120;
/** The longest wait for a grant, and what an answer may take after it. */
const BOUND_MS = (QUEUE_TIMEOUT_S + 15) * 1000;
const SHARE = 0.05;
const LATE_MS = 1500;
const NAMES = ['red', 'green', 'blue', 'white'];

export interface BadDaysResult extends Outcome {
  readonly evictions: number;
  readonly lies: number;
  readonly hangs: number;
  readonly late: number;
  readonly stuck: number;
  readonly healed: number;
  readonly stuckAtTheEnd: number;
  readonly boundS: number;
  readonly cardMib: number;
  readonly mostUsedMib: number;
  readonly refusedByCard: number;
  readonly refusedByServices: number;
}

/** A bad manner lasts for two calls in half of the cases: then asking once more does not help, and it gets stuck. */
class Manners {
  readonly counts = { lies: 0, hangs: 0, late: 0 };
  readonly #random = numbersFrom(7);
  readonly #again = new Map<string, UnloadManner>();

  next(name: string): UnloadManner {
    const again = this.#again.get(name);
    this.#again.delete(name);
    if (again !== undefined) return again;
    const number = this.#random();
    if (number > 3 * SHARE) return 'good';
    if (number > 2 * SHARE) {
      this.counts.late += 1;
      return { lateMs: LATE_MS };
    }
    const manner = number > SHARE ? 'hangs' : 'lies';
    this.counts[manner] += 1;
    if (this.#random() < 0.5) this.#again.set(name, manner);
    return manner;
  }
}

/** A stuck one that was asked again and stayed stuck is the same spell. */
function failedRetries(facts: readonly Fact[]): number {
  const retried = new Set<string>();
  let failed = 0;
  for (const fact of facts) {
    if (fact.type !== 'target') continue;
    const name = targetName(fact.target);
    if (fact.from === 'stuck' && fact.to === 'evicting') retried.add(name);
    else if (fact.from === 'evicting') {
      if (fact.to === 'stuck' && retried.has(name)) failed += 1;
      retried.delete(name);
    }
  }
  return failed;
}

export async function runBadDays(evictions: number): Promise<BadDaysResult> {
  const manners = new Manners();
  const services: Awaited<ReturnType<typeof startPlain>>[] = [];
  const member = (name: string): Member => ({
    start: async (card) => {
      const manner = () => manners.next(name);
      const service = await startPlain({ name, card, residentMib: 11_000, runMib: 500, contextMib: 300, manner });
      services.push(service);
      return service;
    },
    says: {
      health: '/health',
      unload: 'POST /unload',
      vram_resident_mib: 11_000,
      vram_run_mib: 500,
      timeouts: { unload: '2s' },
    },
  });
  const scene = await openScene({
    totalMib: CARD_MIB,
    policy: 'vram-lru',
    members: Object.fromEntries(NAMES.map((name) => [name, member(name)])),
    settings: { queue: { timeout: `${QUEUE_TIMEOUT_S}s`, no_room: '60s' } },
  });
  const random = numbersFrom(3);
  const moved = (from: string, to: string): number =>
    scene.facts.filter((fact) => fact.type === 'target' && fact.from === from && fact.to === to).length;
  const outcome = await runClients(scene.url, CLIENTS, BOUND_MS, () => {
    if (moved('evicting', 'absent') >= evictions) return undefined;
    return { path: `/consumers/${NAMES[Math.floor(random() * NAMES.length)]}/run`, body: '{}' };
  });
  const stuck = moved('evicting', 'stuck');
  const stillStuck = JSON.stringify(await scene.status()).match(/"residency":"stuck"/g)?.length ?? 0;
  const spells = stuck - failedRetries(scene.facts);
  const result = {
    ...outcome,
    evictions: moved('evicting', 'absent'),
    ...manners.counts,
    stuck,
    // Every spell of being stuck but those that still last ended in memory given back.
    healed: spells - stillStuck,
    stuckAtTheEnd: stillStuck,
    boundS: BOUND_MS / 1000,
    cardMib: CARD_MIB,
    mostUsedMib: scene.card.mostUsedMib,
    refusedByCard: scene.card.refusals.length,
    refusedByServices: services.reduce((sum, service) => sum + service.refused(), 0),
  };
  await scene.close();
  return result;
}
