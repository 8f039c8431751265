/** The routes of the OpenAI API that need a consumer: their paths, and what they are in our words. Keeps nothing. */
import type { OpenAiRoute } from '../adapters/adapter.js';
import type { Capability } from '../core/vocabulary.js';

export interface RouteTraits {
  /** Below `/v1`, and at the root for clients whose base URL lacks it. */
  readonly path: string;
  readonly capability: Capability;
}

export const ROUTES: Readonly<Record<OpenAiRoute, RouteTraits>> = {
  chat: { path: '/chat/completions', capability: 'llm' },
  completions: { path: '/completions', capability: 'llm' },
  embeddings: { path: '/embeddings', capability: 'llm' },
  responses: { path: '/responses', capability: 'llm' },
  messages: { path: '/messages', capability: 'llm' },
  count_tokens: { path: '/messages/count_tokens', capability: 'llm' },
  transcriptions: { path: '/audio/transcriptions', capability: 'stt' },
  translations: { path: '/audio/translations', capability: 'stt' },
  speech: { path: '/audio/speech', capability: 'tts' },
  images: { path: '/images/generations', capability: 'image' },
};

export const pathOf = (route: OpenAiRoute): string => `/v1${ROUTES[route].path}`;
