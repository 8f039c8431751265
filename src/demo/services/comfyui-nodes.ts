/**
 * The node types that the stand-in for ComfyUI knows, in ComfyUI's names: the usual text-to-image graph and plain
 * images. Ranges are narrower than the real ones where a demo must not fill the memory. Data only.
 */

/** `link`: the output of another node, of this type. */
export type InputSpec =
  | { readonly type: 'INT' | 'FLOAT'; readonly min: number; readonly max: number; readonly default: number }
  | { readonly type: 'STRING'; readonly default: string }
  | { readonly type: 'CHOICE'; readonly choices: readonly string[] }
  | { readonly type: 'link'; readonly of: string };

export interface NodeType {
  readonly displayName: string;
  readonly category: string;
  readonly inputs: Readonly<Record<string, InputSpec>>;
  readonly outputs: readonly string[];
  readonly outputNode: boolean;
}

/** MiB on the card. */
export const CHECKPOINTS: Readonly<Record<string, number>> = {
  'demo-xl.safetensors': 6_800,
  'demo-small.safetensors': 2_300,
};

const LARGEST_SIDE = 2_048;
const LARGEST_SEED = Number.MAX_SAFE_INTEGER;
const int = (min: number, max: number, value: number): InputSpec => ({ type: 'INT', min, max, default: value });
const float = (min: number, max: number, value: number): InputSpec => ({ type: 'FLOAT', min, max, default: value });
const link = (of: string): InputSpec => ({ type: 'link', of });
const choice = (...choices: string[]): InputSpec => ({ type: 'CHOICE', choices });
const text = (value = ''): InputSpec => ({ type: 'STRING', default: value });

export const NODE_TYPES: Readonly<Record<string, NodeType>> = {
  CheckpointLoaderSimple: {
    displayName: 'Load Checkpoint',
    category: 'loaders',
    inputs: { ckpt_name: choice(...Object.keys(CHECKPOINTS)) },
    outputs: ['MODEL', 'CLIP', 'VAE'],
    outputNode: false,
  },
  CLIPTextEncode: {
    displayName: 'CLIP Text Encode (Prompt)',
    category: 'conditioning',
    inputs: { text: text(), clip: link('CLIP') },
    outputs: ['CONDITIONING'],
    outputNode: false,
  },
  EmptyLatentImage: {
    displayName: 'Empty Latent Image',
    category: 'latent',
    inputs: { width: int(16, LARGEST_SIDE, 512), height: int(16, LARGEST_SIDE, 512), batch_size: int(1, 4, 1) },
    outputs: ['LATENT'],
    outputNode: false,
  },
  KSampler: {
    displayName: 'KSampler',
    category: 'sampling',
    inputs: {
      model: link('MODEL'),
      seed: int(0, LARGEST_SEED, 0),
      steps: int(1, 200, 20),
      cfg: float(0, 100, 8),
      sampler_name: choice('euler', 'euler_ancestral', 'dpmpp_2m'),
      scheduler: choice('normal', 'karras', 'simple'),
      positive: link('CONDITIONING'),
      negative: link('CONDITIONING'),
      latent_image: link('LATENT'),
      denoise: float(0, 1, 1),
    },
    outputs: ['LATENT'],
    outputNode: false,
  },
  VAEDecode: {
    displayName: 'VAE Decode',
    category: 'latent',
    inputs: { samples: link('LATENT'), vae: link('VAE') },
    outputs: ['IMAGE'],
    outputNode: false,
  },
  EmptyImage: {
    displayName: 'EmptyImage',
    category: 'image',
    inputs: {
      width: int(1, LARGEST_SIDE, 512),
      height: int(1, LARGEST_SIDE, 512),
      batch_size: int(1, 4, 1),
      color: int(0, 0xffffff, 0),
    },
    outputs: ['IMAGE'],
    outputNode: false,
  },
  SaveImage: {
    displayName: 'Save Image',
    category: 'image',
    inputs: { images: link('IMAGE'), filename_prefix: text('ComfyUI') },
    outputs: [],
    outputNode: true,
  },
  PreviewImage: {
    displayName: 'Preview Image',
    category: 'image',
    inputs: { images: link('IMAGE') },
    outputs: [],
    outputNode: true,
  },
};

/** An input as `/object_info` and `extra_info.input_config` show it. */
export function inputConfig(spec: InputSpec): unknown[] {
  switch (spec.type) {
    case 'link':
      return [spec.of];
    case 'CHOICE':
      return [spec.choices];
    case 'STRING':
      return ['STRING', { default: spec.default }];
    default:
      return [spec.type, { default: spec.default, min: spec.min, max: spec.max }];
  }
}

/** An entry of `/object_info`. */
export function objectInfo(name: string, type: NodeType): object {
  return {
    input: { required: Object.fromEntries(Object.entries(type.inputs).map(([key, spec]) => [key, inputConfig(spec)])) },
    input_order: { required: Object.keys(type.inputs) },
    output: type.outputs,
    output_is_list: type.outputs.map(() => false),
    output_name: type.outputs,
    name,
    display_name: type.displayName,
    description: '',
    python_module: 'nodes',
    category: type.category,
    output_node: type.outputNode,
  };
}
