/** What fills a card, from left to right, so that it adds up to the card's size. Pure. */
import type { Card, Consumer, Status } from '../data/wire.js';

export interface Block {
  readonly kind: 'target' | 'residue' | 'foreign' | 'claimed' | 'driver' | 'untold' | 'reserve' | 'free';
  readonly name: string;
  /** Of its consumer; null: nobody's. */
  readonly colour: number | null;
  readonly mib: number;
  /** Where the number comes from, where that is not the reading. */
  readonly source: string | null;
  /** It comes, goes, or should have gone; null: it stays. */
  readonly going: 'loading' | 'leaving' | 'stuck' | null;
}

export function blocksOf(status: Status, card: Card): Block[] {
  const total = card.total_mib;
  if (total === null) return [];
  const alone = status.gpu.cards.length === 1;
  const held = Object.entries(status.consumers).flatMap(([name, consumer], colour) => {
    const isHere = alone || (consumer.cards.length === 1 && consumer.cards[0] === card.index);
    return isHere ? heldBy(name, consumer, colour) : [];
  });
  const strangers = [
    nobody('foreign', 'others', card.foreign_mib),
    nobody('driver', 'driver', card.driver_reserved_mib),
  ].flat();
  const told = sum([...held, ...strangers]);
  const used = card.used_mib ?? told;
  const untold = nobody('untold', held.length === 0 ? 'in use' : 'not told apart', Math.max(0, used - told));
  const claimed = nobody('claimed', 'promised', card.claimed_mib);
  const taken = [...held, ...strangers, ...untold, ...claimed];
  const rest = Math.max(0, total - sum(taken));
  const reserve = Math.min(status.gpu.reserve_mib ?? 0, rest);
  return [...taken, ...nobody('free', 'free', rest - reserve), ...nobody('reserve', 'kept free', reserve)];
}

const GOING: Readonly<Record<string, Block['going']>> = { loading: 'loading', evicting: 'leaving', stuck: 'stuck' };

function heldBy(name: string, consumer: Consumer, colour: number): Block[] {
  const models = consumer.models.flatMap((model): Block[] =>
    model.gpu_resident_mib === null || model.gpu_resident_mib === 0
      ? []
      : [
          {
            kind: 'target',
            name: `${name} ${model.name}`,
            colour,
            mib: model.gpu_resident_mib,
            source: model.gpu_resident_source,
            going: GOING[model.residency] ?? null,
          },
        ],
  );
  const all = consumer.gpu_resident_mib ?? 0;
  const rest = all - sum(models);
  if (rest <= 0) return models;
  const source = consumer.gpu_resident_source;
  const going = GOING[consumer.residency] ?? null;
  const off = consumer.residency === 'absent' || models.length > 0;
  return [
    ...models,
    {
      kind: off ? 'residue' : 'target',
      name: off ? `${name} residue` : name,
      colour,
      mib: rest,
      source,
      going: off ? null : going,
    },
  ];
}

function nobody(kind: Block['kind'], name: string, mib: number | null): Block[] {
  return mib === null || mib < 1 ? [] : [{ kind, name, colour: null, mib, source: null, going: null }];
}

export const sum = (blocks: readonly { readonly mib: number }[]): number =>
  blocks.reduce((mib, block) => mib + block.mib, 0);
