/** Houses and automation: their first requests, from their sources and documentation. Data only. */
import { messages, SPEAK, stainless, TRANSCRIBE, tool, usual } from './common.js';
import type { ClientProgram, Expectations } from './contract.js';

export function homes(expect: Expectations): readonly ClientProgram[] {
  const { modelList, streamed, whole } = usual(expect);
  return [
    {
      name: 'Home Assistant, LiteLLM',
      requests: [
        modelList(stainless('python')),
        streamed(stainless('python'), { tools: [tool], max_completion_tokens: 3000, user: 'conversation-1' }, false),
        {
          ...{ what: 'speech to text', path: TRANSCRIBE, headers: stainless('python') },
          form: {
            before: [
              ['model', 'whisper-1'],
              ['language', 'de'],
              ['prompt', 'Licht'],
              ['keywords[]', 'Küche'],
            ],
            file: 'audio.wav',
          },
          expect: expect.transcript,
        },
      ],
    },
    {
      name: 'Home Assistant, Ollama',
      requests: [
        {
          ...{ what: 'models, within 5 s', path: '/consumers/ollama/api/tags' },
          expect: expect.json((value) => Object(value).models.every((one: unknown) => Object(one).digest.length > 0)),
        },
        {
          ...{ what: 'a chat', path: '/consumers/ollama/api/chat' },
          json: {
            ...{ model: 'llama3.2:3b', messages, stream: true, keep_alive: -1, think: false },
            options: { num_ctx: 8192 },
          },
          expect: expect.lines,
        },
      ],
    },
    {
      name: 'extended_openai_conversation',
      requests: [modelList(stainless('python')), whole(stainless('python'), { tools: [tool], tool_choice: 'auto' })],
    },
    {
      name: 'wyoming_openai',
      requests: [
        { what: 'is it LocalAI?', path: '/v1/readyz', expect: expect.refusal(404), isProbe: true },
        { what: 'is it speaches?', path: '/health', expect: expect.refusal(404), isProbe: true },
        { what: 'is it Kokoro?', path: '/v1/test', expect: expect.refusal(404), isProbe: true },
        { what: 'voices of a model', path: '/v1/models/tts-1', expect: expect.model('tts-1'), isProbe: true },
        {
          ...{ what: 'speech to text', path: TRANSCRIBE, headers: stainless('python') },
          form: {
            before: [
              ['model', 'whisper-1'],
              ['response_format', 'json'],
            ],
            file: 'recording.wav',
          },
          expect: expect.transcript,
        },
        {
          ...{ what: 'text to speech', path: SPEAK, headers: stainless('python') },
          json: { model: 'tts-1', input: 'hi', voice: 'alloy', response_format: 'wav' },
          expect: expect.sound('wav'),
        },
      ],
    },
    {
      name: 'n8n',
      requests: [
        modelList(stainless('js')),
        {
          ...{ what: 'the API that it uses unless told otherwise', path: '/v1/responses', headers: stainless('js') },
          json: { model: 'small.gguf', input: 'Hello', stream: false },
          expect: expect.refusal(404),
        },
        streamed(stainless('js')),
        {
          ...{ what: 'ollama: models', path: '/consumers/ollama/api/tags', headers: { authorization: 'Bearer ' } },
          expect: expect.json((value) => Object(value).models.length > 0),
        },
      ],
    },
  ];
}
