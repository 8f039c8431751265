/** The models that the stand-in for ollama "has on disk", in the shapes of ollama's lists. Owns nothing. */
import { createHash } from 'node:crypto';

export interface DemoModel {
  readonly name: string;
  readonly family: string;
  readonly parameters: string;
  readonly quantization: string;
  /** What it takes on the card, MiB. */
  readonly vramMib: number;
  readonly diskBytes: number;
  readonly contextLength: number;
  readonly capabilities: readonly ('completion' | 'embedding')[];
  /** Between two tokens, at the demo's usual pace. */
  readonly tokenMs: number;
}

const GIGABYTE = 1_000_000_000;

export const DEMO_MODELS: readonly DemoModel[] = [
  {
    name: 'llama3.2:3b',
    family: 'llama',
    parameters: '3.2B',
    quantization: 'Q8_0',
    vramMib: 4_096,
    diskBytes: 3.4 * GIGABYTE,
    contextLength: 32_768,
    capabilities: ['completion'],
    tokenMs: 20,
  },
  {
    name: 'qwen3:8b',
    family: 'qwen3',
    parameters: '8.2B',
    quantization: 'Q6_K',
    vramMib: 9_216,
    diskBytes: 6.7 * GIGABYTE,
    contextLength: 32_768,
    capabilities: ['completion'],
    tokenMs: 35,
  },
  {
    name: 'qwen3:32b',
    family: 'qwen3',
    parameters: '32.8B',
    quantization: 'Q4_K_M',
    vramMib: 21_504,
    diskBytes: 20.2 * GIGABYTE,
    contextLength: 32_768,
    capabilities: ['completion'],
    tokenMs: 70,
  },
  {
    name: 'nomic-embed-text:latest',
    family: 'nomic-bert',
    parameters: '137M',
    quantization: 'F16',
    vramMib: 600,
    diskBytes: 0.274 * GIGABYTE,
    contextLength: 2_048,
    capabilities: ['embedding'],
    tokenMs: 1,
  },
];

/** A name without a tag means `:latest`. */
export const fullModelName = (name: string): string => (name.includes(':') ? name : `${name}:latest`);

export const digestOf = (model: DemoModel): string => createHash('sha256').update(model.name).digest('hex');

export const detailsOf = (model: DemoModel): object => ({
  parent_model: '',
  format: 'gguf',
  family: model.family,
  families: [model.family],
  parameter_size: model.parameters,
  quantization_level: model.quantization,
});

/** An entry of `GET /api/tags`. */
export const tagEntry = (model: DemoModel): object => ({
  name: model.name,
  model: model.name,
  modified_at: '2026-10-01T09:00:00.000000000+02:00',
  size: model.diskBytes,
  digest: digestOf(model),
  details: detailsOf(model),
});

/** The answer of `POST /api/show`. */
export const showAnswer = (model: DemoModel): object => ({
  license: 'demo',
  modelfile: `FROM ${model.name}\n`,
  parameters: '',
  template: '{{ .Prompt }}',
  details: detailsOf(model),
  model_info: {
    'general.architecture': model.family,
    [`${model.family}.context_length`]: model.contextLength,
  },
  capabilities: model.capabilities,
  modified_at: '2026-10-01T09:00:00.000000000+02:00',
});
