/** What the parts of the wing share. Types only. */
import type { OpenAiRoute } from '../adapters/adapter.js';
import type { JobDoor } from '../adapters/translation.js';
import type { WallMs } from '../core/vocabulary.js';
import type { BrokerPort, Clock, Log } from '../runtime/ports.js';
import type { PictureStore } from './picture-store.js';
import type { ResponseMakers } from './response-makers.js';
import type { Destination, RoutingContext } from './routing.js';

export interface OpenAiWing {
  readonly door: JobDoor;
  readonly broker: BrokerPort;
  readonly clock: Clock;
  readonly log: Log;
  readonly pictures: PictureStore;
  readonly responses: ResponseMakers;
  readonly context: () => RoutingContext;
  /** When the configuration in force was read. */
  readonly loadedAt: () => WallMs;
  /** A name that is not known is looked for anew before it is refused. */
  readonly destinationOf: (route: OpenAiRoute, model: string | null) => Promise<Destination>;
  /** Of waiting streams; absent: the usual ones. */
  readonly timesMs?: { readonly first: number; readonly next: number };
}
