/** Chat pages: their first requests, from their sources and documentation. Data only. */
import { bearer, SPEAK, stainless, TRANSCRIBE, usual } from './common.js';
import type { ClientProgram, Expectations } from './contract.js';

export function frontEnds(expect: Expectations): readonly ClientProgram[] {
  const { modelList, streamed, whole } = usual(expect);
  return [
    {
      name: 'Open WebUI',
      requests: [
        modelList({ ...bearer, 'content-type': 'application/json' }),
        {
          ...{ what: 'ollama: version', path: '/consumers/ollama/api/version' },
          expect: expect.json((value) => /^\d/.test(String(Object(value).version))),
        },
        {
          ...{ what: 'ollama: models', path: '/consumers/ollama/api/tags' },
          expect: expect.json((value) => Object(value).models.length > 0),
        },
        {
          ...{ what: 'ollama: what is loaded', path: '/consumers/ollama/api/ps' },
          expect: expect.json((value) => Array.isArray(Object(value).models)),
        },
        streamed(
          { ...bearer, 'x-openwebui-user-name': 'Anna', 'x-openwebui-user-id': '1', 'x-openwebui-chat-id': 'c' },
          { reasoning: { effort: 'low' } },
        ),
        { ...whole(bearer, { stream: false, max_completion_tokens: 1000 }), what: 'a title' },
        {
          ...{ what: 'speech to text', path: TRANSCRIBE, headers: bearer },
          form: { file: 'audio.wav', behind: [['model', 'whisper-1']] },
          expect: expect.transcript,
        },
        {
          ...{ what: 'models of speech', path: '/v1/audio/models', isProbe: true },
          expect: expect.json((value) => Object(value).models.some((one: unknown) => Object(one).id === 'tts-1')),
        },
        {
          ...{ what: 'voices', path: '/v1/audio/voices', isProbe: true },
          expect: expect.json((value) => Object(value).voices.length > 0),
        },
        {
          ...{ what: 'text to speech', path: SPEAK, headers: bearer },
          json: { model: 'tts-1', input: 'hi', voice: 'alloy' },
          expect: expect.sound('mp3'),
        },
        {
          ...{ what: 'a picture', path: '/v1/images/generations', headers: bearer },
          json: { model: 'dall-e-3', prompt: 'a boat', n: 1, size: '64x64', response_format: 'b64_json' },
          expect: expect.picture,
        },
        { ...whole(bearer, { model: 'nope' }), what: 'an unknown model', expect: expect.refusal(404), isProbe: true },
      ],
    },
    {
      name: 'LibreChat',
      requests: [
        modelList(bearer),
        streamed(stainless('js'), { user: '65f0' }),
        { ...whole(stainless('js'), { temperature: 0.2 }), what: 'a title' },
        {
          ...{ what: 'speech to text', path: TRANSCRIBE, headers: bearer },
          form: {
            file: 'audio.webm',
            behind: [
              ['model', 'whisper-1'],
              ['language', 'en'],
            ],
          },
          expect: expect.transcript,
        },
        {
          ...{ what: 'text to speech', path: SPEAK, headers: bearer },
          json: { model: 'tts-1', input: 'hi', voice: 'alloy' },
          expect: expect.sound('mp3'),
        },
      ],
    },
    {
      name: 'SillyTavern',
      requests: [modelList(bearer), streamed(bearer, { stop: [], top_k: 40, min_p: 0.05 }, false)],
    },
  ];
}
