/** What several client programs send in the same way. Data only. */
import type { ClientRequest, Expectations } from './contract.js';

export const messages = [
  { role: 'system', content: 'You are helpful.' },
  { role: 'user', content: 'Hello' },
];
export const parts = [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }];
export const tool = {
  type: 'function',
  function: { name: 'turn_on', description: 'Turns on', parameters: { type: 'object', properties: {} } },
};
export const bearer = { authorization: 'Bearer none' };
export const stainless = (language: 'js' | 'python') => ({
  ...bearer,
  'user-agent': language === 'js' ? 'OpenAI/JS 6.49.0' : 'AsyncOpenAI/Python 3.3.1',
  'x-stainless-lang': language,
  'x-stainless-package-version': language === 'js' ? '6.49.0' : '3.3.1',
  'x-stainless-os': 'Linux',
  'x-stainless-arch': 'x64',
  'x-stainless-runtime': language === 'js' ? 'node' : 'CPython',
  'x-stainless-runtime-version': language === 'js' ? 'v24.0.0' : '3.13.0',
  'x-stainless-retry-count': '0',
  ...(language === 'python' ? { 'x-stainless-async': 'async:asyncio', 'x-stainless-read-timeout': '600' } : {}),
});
export const usage = { stream_options: { include_usage: true } };
export const CHAT = '/v1/chat/completions';
export const TRANSCRIBE = '/v1/audio/transcriptions';
export const SPEAK = '/v1/audio/speech';

/** Requests that are the same but for a few members. */
export function usual(expect: Expectations) {
  const modelList = (headers: Record<string, string>, path = '/v1/models'): ClientRequest => ({
    ...{ what: 'models', path, headers, isProbe: true },
    expect: expect.models('small.gguf', 'llama3.2:3b', 'whisper-1', 'tts-1'),
  });
  const streamed = (headers: Record<string, string>, more: object = {}, wantsUsage = true): ClientRequest => ({
    ...{ what: 'a chat, streamed', path: CHAT, headers },
    json: { model: 'small.gguf', messages, stream: true, ...(wantsUsage ? usage : {}), ...more },
    expect: expect.stream({ usage: wantsUsage }),
  });
  const whole = (headers: Record<string, string>, more: object = {}): ClientRequest => ({
    ...{ what: 'a chat, whole', path: CHAT, headers },
    json: { model: 'llama3.2:3b', messages, max_tokens: 4, ...more },
    expect: expect.chat,
  });
  return { modelList, streamed, whole };
}
