/** A stand-in for what the kinds bring: of the shape and size of the real ones, so that config is tested alone. */
import type { KindDefaults } from '../../src/adapters/adapter.js';
import type { KindName } from '../../src/config/configuration.js';

export const KIND_DEFAULTS: Readonly<Record<KindName, KindDefaults>> = {
  http: { url: null, health: null, paths: {}, passes: [], class: 'interactive', parallel: 1, drain: '5s' },
  ollama: {
    url: 'http://127.0.0.1:11434',
    health: '/api/version',
    paths: { llm: '/api/chat' },
    passes: ['POST /api/show'],
    class: 'interactive',
    parallel: 1,
    drain: '1s',
  },
  'whisper-server': {
    url: 'http://127.0.0.1:8178',
    health: '/health',
    paths: { stt: '/inference' },
    passes: [],
    class: 'interactive',
    parallel: 1,
    drain: '3s',
  },
  comfyui: {
    url: 'http://127.0.0.1:8188',
    health: { path: '/system_stats', expect: 200 },
    paths: { image: '/prompt' },
    passes: ['POST /upload/image'],
    class: 'batch',
    parallel: 1,
    drain: '5s',
  },
  openai: {
    url: 'http://127.0.0.1:8080',
    health: '/health',
    paths: { llm: '/v1/chat/completions' },
    passes: [],
    class: 'interactive',
    parallel: 4,
    drain: '1s',
  },
  automatic1111: {
    url: 'http://127.0.0.1:7860',
    health: '/sdapi/v1/progress',
    paths: { image: '/sdapi/v1/txt2img' },
    passes: [],
    class: 'batch',
    parallel: 1,
    drain: '5s',
  },
};
