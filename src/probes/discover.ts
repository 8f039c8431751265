/**
 * Looks for services at their usual ports with harmless GETs, says what answers there and what it could not tell, and
 * writes the configuration that would serve them. Loads nothing, keeps nothing.
 */
import { isIPv6 } from 'node:net';
import { stringify } from 'yaml';
import type { KindName } from '../config/configuration.js';
import { CAPABILITIES, type Capability } from '../core/vocabulary.js';
import { boundedGet, type GetEnd } from './bounded-get.js';

export interface FoundService {
  readonly consumer: string;
  readonly kind: KindName;
  readonly url: string;
}

export interface Discovery {
  readonly found: readonly FoundService[];
  /** For people: what was found, what was not, what could not be told. */
  readonly sentences: readonly string[];
  /** A configuration that serves what was found; without consumers where nothing was. */
  readonly configText: string;
}

export interface DiscoverOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** For one GET; default 1500 ms. */
  readonly timeoutMs?: number;
  /** Other than the usual ones, by consumer. */
  readonly ports?: Readonly<Record<string, number>>;
}

interface UsualService {
  readonly consumer: string;
  readonly kind: KindName;
  readonly port: number;
  readonly capability: Capability;
  readonly path: string;
  /** Whether the answer can only be this service's. */
  readonly recognises: (answer: Answered) => boolean;
}

type Answered = Extract<GetEnd, { type: 'answered' }>;

const USUAL: readonly UsualService[] = [
  {
    ...{ consumer: 'whisper-server', kind: 'whisper-server', port: 8178, capability: 'stt', path: '/' },
    recognises: ({ headers, body }) => headers.server === 'whisper.cpp' || body.includes('Whisper.cpp Server'),
  },
  {
    ...{ consumer: 'ollama', kind: 'ollama', port: 11_434, capability: 'llm', path: '/' },
    recognises: ({ body }) => body.startsWith('Ollama is running'),
  },
  {
    ...{ consumer: 'comfyui', kind: 'comfyui', port: 8188, capability: 'image', path: '/prompt' },
    recognises: ({ status, body }) => status === 200 && body.includes('"queue_remaining"'),
  },
];

/** Its interface is its owner's: that something answers on its port is all that can be seen. */
const MVOICE = { consumer: 'mvoice', port: 8766, path: '/' } as const;

export async function discover(options: DiscoverOptions = {}): Promise<Discovery> {
  const ask = (consumer: string, port: number, path: string) => {
    const url = urlOf(options.host ?? '127.0.0.1', options.ports?.[consumer] ?? port);
    if (!URL.canParse(url)) return Promise.resolve({ url, end: NOT_A_HOST });
    return boundedGet({ url, path, timeoutMs: options.timeoutMs ?? 1500 }).then((end) => ({ url, end }));
  };
  const [mvoice, ...usual] = await Promise.all([
    ask(MVOICE.consumer, MVOICE.port, MVOICE.path),
    ...USUAL.map(({ consumer, port, path }) => ask(consumer, port, path)),
  ]);
  const found: FoundService[] = [];
  const sentences: string[] = [];
  const routes: Partial<Record<Capability, string>> = {};
  for (const [index, service] of USUAL.entries()) {
    const looked = usual[index];
    if (looked === undefined) continue;
    sentences.push(sentenceOf(service, looked));
    if (looked.end.type !== 'answered' || !service.recognises(looked.end)) continue;
    found.push({ consumer: service.consumer, kind: service.kind, url: looked.url });
    routes[service.capability] = service.consumer;
  }
  sentences.push(mvoiceSentence(mvoice));
  return { found, sentences, configText: configText(found, routes, mvoice) };
}

/** Brackets where the host is an IPv6 address (RFC 3986, 3.2.2). */
const urlOf = (host: string, port: number): string => `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;

const NOT_A_HOST: GetEnd = {
  type: 'failed',
  code: 'ERR_INVALID_URL',
  error: 'the host is neither a name nor an address',
};

function sentenceOf({ consumer, recognises }: UsualService, { url, end }: { url: string; end: GetEnd }): string {
  if (end.type === 'failed' && end.code === 'ECONNREFUSED') return `${consumer}: nothing listens at ${url}`;
  if (end.type !== 'answered') return `${consumer}: could not tell: ${end.error}`;
  if (recognises(end)) return `${consumer}: found at ${url}`;
  return `${consumer}: something answers at ${url} (status ${end.status}), but it is not ${consumer}`;
}

function mvoiceSentence({ url, end }: { url: string; end: GetEnd }): string {
  if (end.type === 'failed' && end.code === 'ECONNREFUSED') return `mvoice: nothing listens at ${url}`;
  if (end.type !== 'answered') return `mvoice: could not tell: ${end.error}`;
  return `mvoice: something answers at ${url}; if it is mvoice, write its path into paths.tts and route tts to it (see the comment in the configuration)`;
}

function configText(
  found: readonly FoundService[],
  routes: Partial<Record<Capability, string>>,
  mvoice: { readonly url: string; readonly end: GetEnd },
): string {
  const ordered = Object.fromEntries(CAPABILITIES.flatMap((name) => (routes[name] ? [[name, routes[name]]] : [])));
  const consumers = Object.fromEntries(found.map(({ consumer, kind, url }) => [consumer, { kind, url }]));
  const comment = [
    '# What was found at the usual ports.',
    ...(mvoice.end.type === 'answered'
      ? [
          `# Something answers at ${mvoice.url}. If it is mvoice, add to \`routes\`:   tts: mvoice`,
          '# at the top level:   audio_proxy: mvoice',
          `# and to \`consumers\`:   mvoice: { kind: http, url: "${mvoice.url}", paths: { tts: /ITS/PATH } }`,
        ]
      : []),
  ];
  return `${comment.join('\n')}\n${stringify({ ...(found.length === 0 ? {} : { routes: ordered }), consumers })}`;
}
