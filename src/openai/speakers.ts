/** Which consumer takes which route, as its kind speaks it, as it is translated here, or as its configuration says. */
import type { Adapter, OpenAiRoute } from '../adapters/adapter.js';
import { OPENAI_ROUTES } from '../adapters/adapter.js';
import type { ConsumerConfiguration, KindName } from '../config/configuration.js';

export type Speaker =
  /** It understands the route itself. */
  | { readonly manner: 'openai'; readonly path: string }
  | { readonly manner: 'speech'; readonly path: string }
  | { readonly manner: 'whisper-server' | 'comfyui' | 'automatic1111'; readonly path: string };

export type Adapters = Readonly<Record<KindName, Adapter>>;

export function speakerOf(route: OpenAiRoute, consumer: ConsumerConfiguration, adapters: Adapters): Speaker | null {
  if (route === 'speech' && consumer.speech !== null) return { manner: 'speech', path: consumer.speech.path };
  const isTranscription = route === 'transcriptions' || route === 'translations';
  if (isTranscription && consumer.kind === 'whisper-server') {
    return { manner: 'whisper-server', path: consumer.paths.stt ?? '/inference' };
  }
  if (route === 'images' && consumer.kind === 'comfyui') {
    return consumer.workflows.size === 0 ? null : { manner: 'comfyui', path: consumer.paths.image ?? '/prompt' };
  }
  if (route === 'images' && consumer.kind === 'automatic1111') {
    return { manner: 'automatic1111', path: consumer.paths.image ?? '/sdapi/v1/txt2img' };
  }
  const path = adapters[consumer.kind].openaiPaths?.[route];
  if (path === undefined) return null;
  return route === 'speech' ? { manner: 'speech', path } : { manner: 'openai', path };
}

/** Whether it can be asked for anything on these routes. */
export const speaksAnything = (consumer: ConsumerConfiguration, adapters: Adapters): boolean =>
  OPENAI_ROUTES.some((route) => speakerOf(route, consumer, adapters) !== null);
