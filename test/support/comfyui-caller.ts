/** A client of ComfyUI's, as the broker's caller would be one: puts prompts into its queue. */
import type { ConsumerConfiguration } from '../../src/config/configuration.js';
import { PICTURE_REQUEST } from '../../src/demo/welcome.js';
import { textAt } from './json-value.js';

/** `seed` makes the work a new one: the same graph again runs nothing. Resolves with the prompt's id. */
export async function putPrompt(consumer: ConsumerConfiguration, seed: number, id?: string): Promise<string> {
  // A small picture: what takes its time is the pretended work, not this machine's painting.
  const graph = JSON.stringify(PICTURE_REQUEST)
    .replace(/"seed":\d+/, `"seed":${seed}`)
    .replace('"width":512,"height":512', '"width":64,"height":64');
  const body = id === undefined ? graph : graph.replace('{', `{"prompt_id":"${id}",`);
  const answer = await fetch(`${consumer.url}/prompt`, { method: 'POST', body });
  return textAt(await answer.json(), 'prompt_id');
}
