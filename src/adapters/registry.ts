/** The kinds of services. A new one is a folder beside this and a line here. */
import type { KindName } from '../config/configuration.js';
import type { Adapter } from './adapter.js';
import { automatic1111 } from './automatic1111/automatic1111.js';
import { comfyui } from './comfyui/comfyui.js';
import { http } from './http/http.js';
import { ollama } from './ollama/ollama.js';
import { openai } from './openai/openai.js';
import { whisperServer } from './whisper-server/whisper-server.js';

export const KINDS: Readonly<Record<KindName, Adapter>> = {
  http,
  ollama,
  'whisper-server': whisperServer,
  comfyui,
  openai,
  automatic1111,
};
