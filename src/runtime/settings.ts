/** From the configuration to what decisions depend on. */
import type { Configuration } from '../config/configuration.js';
import type { Settings } from '../core/settings.js';

export function settingsOf(configuration: Configuration): Settings {
  return {
    policy: configuration.policy,
    queueMax: configuration.queue.max,
    queueTimeoutMs: configuration.queue.timeoutMs,
    consumers: new Map(
      [...configuration.consumers].map(([id, consumer]) => [
        id,
        { id, endpoint: consumer.url, cards: consumer.cards, parallel: consumer.parallel },
      ]),
    ),
  };
}
