/** Libraries: their first requests, from their sources and documentation. Data only. */
import { parts, stainless, TRANSCRIBE, usual } from './common.js';
import type { ClientProgram, Expectations } from './contract.js';

export function libraries(expect: Expectations): readonly ClientProgram[] {
  const { modelList, streamed, whole } = usual(expect);
  return [
    {
      name: 'LangChain JS',
      requests: [
        streamed(stainless('js'), { n: 1, temperature: 1 }),
        whole(stainless('js')),
        {
          ...{ what: 'embeddings', path: '/v1/embeddings', headers: stainless('js') },
          json: { model: 'small.gguf', input: ['a', 'b'], encoding_format: 'base64' },
          expect: expect.embeddings(2, 'base64'),
        },
      ],
    },
    {
      name: 'LangChain Python',
      requests: [
        streamed(stainless('python'), {}, false),
        {
          ...{ what: 'embeddings, as numbers of tokens', path: '/v1/embeddings', headers: stainless('python') },
          json: { model: 'small.gguf', input: [[9906, 1917], [15339]], encoding_format: 'base64' },
          expect: expect.embeddings(2, 'base64'),
        },
        {
          ...{
            what: 'the same at a service that takes texts only',
            path: '/v1/embeddings',
            headers: stainless('python'),
          },
          json: { model: 'nomic-embed-text', input: [[9906, 1917]], encoding_format: 'base64' },
          expect: expect.refusal(400),
        },
        {
          ...{ what: 'embeddings, as texts', path: '/v1/embeddings', headers: stainless('python') },
          json: { model: 'nomic-embed-text', input: ['a'], encoding_format: 'base64' },
          expect: expect.embeddings(1, 'base64'),
        },
      ],
    },
    {
      name: 'OpenAI SDKs',
      requests: [
        modelList(stainless('js')),
        { ...modelList(stainless('python')), path: '/models', what: 'models, without /v1' },
        streamed(stainless('js'), {}, false),
        whole(
          { ...stainless('python'), 'openai-organization': 'o', 'openai-beta': 'x' },
          { metadata: {}, store: false },
        ),
        {
          ...{ what: 'a transcription, sound first', path: TRANSCRIBE, headers: stainless('js') },
          form: {
            file: 'unknown_file',
            behind: [
              ['model', 'whisper-1'],
              ['response_format', 'verbose_json'],
              ['timestamp_granularities[]', 'word'],
            ],
          },
          expect: expect.json((value) => Object(value).words.length > 0 && typeof Object(value).duration === 'number'),
        },
        {
          ...{ what: 'embeddings', path: '/v1/embeddings', headers: stainless('python') },
          json: { model: 'nomic-embed-text', input: 'a', encoding_format: 'base64' },
          expect: expect.embeddings(1, 'base64'),
        },
      ],
    },
    {
      name: 'Vercel AI SDK',
      requests: [
        streamed({ 'user-agent': 'ai-sdk/openai-compatible/2.0.92' }, {}, false),
        whole({ 'user-agent': 'ai-sdk/openai-compatible/2.0.92' }, { messages: parts }),
        {
          ...{ what: 'embeddings', path: '/v1/embeddings' },
          json: { model: 'small.gguf', input: ['a', 'b'], encoding_format: 'float' },
          expect: expect.embeddings(2, 'float'),
        },
        {
          ...{ what: 'a picture', path: '/v1/images/generations' },
          json: { model: 'dall-e-3', prompt: 'a boat', n: 1, size: '64x64' },
          expect: expect.picture,
        },
      ],
    },
  ];
}
