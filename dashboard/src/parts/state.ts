/** What the parts of the page share: the world, the way to other pages, and the way to ask for an action. */
import type { Action } from '../data/consequence.js';
import type { World } from '../data/world.js';

export interface Shared {
  readonly world: World;
  /** The daemon's clock at the last drawing. */
  readonly now: number;
  readonly go: (path: string) => void;
  /** Opens the question; nothing is done before it is answered. */
  readonly want: (action: Action) => void;
  readonly loadHistory: (from: number) => void;
}

export const mayOperate = ({ world }: Shared): boolean =>
  world.whoami?.may_operate === true && world.contact.kind === 'live';

export function colourOf(world: World, consumer: string): number {
  const index = Object.keys(world.status?.consumers ?? {}).indexOf(consumer);
  return index === -1 ? 8 : index % 10;
}
