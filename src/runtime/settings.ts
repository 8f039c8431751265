/** From the configuration, and what its kinds can do, to what decisions depend on. */
import type { Configuration, ConsumerConfiguration, KindName } from '../config/configuration.js';
import type { ConsumerSettings, DeclaredFootprint, KindPowers, Settings } from '../core/settings.js';

export function settingsOf(configuration: Configuration, powersOf: (kind: KindName) => KindPowers): Settings {
  return {
    policy: configuration.policy,
    queueMax: configuration.queue.max,
    queueTimeoutMs: configuration.queue.timeoutMs,
    noRoomMs: configuration.queue.noRoomMs,
    reserveMib: configuration.gpu.reserveMib,
    totalMib: configuration.gpu.totalMib,
    consumers: new Map(
      [...configuration.consumers].map(([id, consumer]) => [id, consumerSettings(consumer, powersOf(consumer.kind))]),
    ),
  };
}

function consumerSettings(consumer: ConsumerConfiguration, powers: KindPowers): ConsumerSettings {
  return {
    id: consumer.id,
    endpoint: consumer.url,
    cards: consumer.cards,
    parallel: consumer.parallel,
    declared: declaredOf(consumer),
    models: new Map([...consumer.models].map(([name, model]) => [name, declaredOf(model)])),
    canCoexistWith: new Set(consumer.canCoexistWith),
    loads: consumer.load === null ? powers.loads : 'by_call',
    unloadsByCall: consumer.unload !== null || powers.unloads,
    unit: consumer.unit,
    start: consumer.start,
    swaps: powers.swaps,
    asksForeignWork: powers.asksForeignWork,
    loadTimeoutMs: consumer.timeouts.loadMs,
    unloadTimeoutMs: consumer.timeouts.unloadMs,
  };
}

function declaredOf(from: {
  readonly vramResidentMib: number | null;
  readonly vramRunMib: number | null;
  readonly pin: boolean;
}): DeclaredFootprint {
  return { residentMib: from.vramResidentMib, runMib: from.vramRunMib, pinned: from.pin };
}
