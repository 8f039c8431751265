/** The voices and models of speech, for clients that ask before they speak. From the configuration; keeps nothing. */
import type { Exchange } from '../server/exchange.js';
import { sendJson } from '../server/respond.js';
import { namesOf } from './routing.js';
import { speakerOf } from './speakers.js';
import type { OpenAiWing } from './wing.js';

function speakers(wing: OpenAiWing) {
  const { configuration, adapters } = wing.context();
  return [...configuration.consumers.values()].filter((one) => speakerOf('speech', one, adapters) !== null);
}

/** `GET /v1/audio/voices` */
export function sendVoices(wing: OpenAiWing, exchange: Exchange): void {
  const names = new Set(
    speakers(wing).flatMap(({ voices, defaultVoice }) =>
      voices.size > 0 || defaultVoice === null ? [...voices.keys()] : [defaultVoice],
    ),
  );
  sendJson(exchange, 200, { voices: [...names].map((name) => ({ id: name, name })) });
}

/** `GET /v1/audio/models` */
export function sendSpeechModels(wing: OpenAiWing, exchange: Exchange): void {
  const context = wing.context();
  const aliases = [...context.configuration.aliases];
  const ids = speakers(wing).flatMap((consumer) => {
    const own = namesOf(consumer, context);
    const meant = aliases.filter(([, target]) => target.consumer === consumer.id).map(([alias]) => alias);
    return [...meant, ...(own.length > 0 ? own : [consumer.id])];
  });
  sendJson(exchange, 200, { models: [...new Set(ids)].map((id) => ({ id })) });
}
