/** Coding assistants: their first requests, from their sources and documentation. Data only. */
import { bearer, messages, parts, stainless, tool, usual } from './common.js';
import type { ClientProgram, Expectations } from './contract.js';

export function assistants(expect: Expectations): readonly ClientProgram[] {
  const { modelList, streamed } = usual(expect);
  return [
    {
      name: 'Continue',
      requests: [
        modelList({ ...bearer, 'api-key': 'none' }),
        streamed({ ...bearer, 'api-key': 'none' }, { max_tokens: 64 }, false),
        {
          ...{ what: 'embeddings', path: '/v1/embeddings', headers: { ...bearer, 'api-key': 'none' } },
          json: { model: 'small.gguf', input: ['a'] },
          expect: expect.embeddings(1, 'float'),
        },
        {
          ...{ what: 'ollama: a model', path: '/consumers/ollama/api/show' },
          json: { name: 'llama3.2:3b' },
          expect: expect.json((value) => Object(value).capabilities.includes('completion')),
        },
      ],
    },
    {
      name: 'Cline',
      requests: [
        modelList(bearer),
        streamed({ ...bearer, 'user-agent': 'ai-sdk/openai-compatible/3.0.35' }, { messages: parts }),
      ],
    },
    {
      name: 'Roo Code',
      requests: [
        modelList({ ...bearer, 'http-referer': 'https://github.com/x', 'x-title': 'Roo Code' }),
        streamed({ ...stainless('js'), 'x-title': 'Roo Code', 'user-agent': 'RooCode/3.52.1' }, { messages: parts }),
        {
          ...{ what: 'ollama: models', path: '/consumers/ollama/api/tags' },
          expect: expect.json((value) =>
            Object(value).models.every(
              (one: unknown) => typeof Object(Object(one).details).parameter_size === 'string',
            ),
          ),
        },
      ],
    },
    {
      name: 'Zed',
      requests: [
        streamed(bearer, { parallel_tool_calls: false, tools: [tool], max_completion_tokens: 64 }),
        {
          ...{ what: 'ollama: models', path: '/consumers/ollama/api/tags' },
          expect: expect.json((value) =>
            Object(value).models.every((one: unknown) => {
              const { name, modified_at, size, digest, details } = Object(one);
              return name && modified_at && size && digest && details.format && details.quantization_level;
            }),
          ),
        },
      ],
    },
    {
      name: 'aider',
      requests: [
        streamed(stainless('python'), { temperature: 0 }, false),
        {
          ...{ what: 'ollama: a chat', path: '/consumers/ollama/api/chat' },
          json: { model: 'llama3.2:3b', messages, stream: true, options: { num_ctx: 8192 } },
          expect: expect.lines,
        },
      ],
    },
  ];
}
