/**
 * What the nodes of the stand-in for ComfyUI do: load a checkpoint onto the card, sample step by step, save pictures.
 * Owns the saved pictures (the newest few, in memory), the results of the last prompt (its cache), and what it holds
 * on the card. Knows nothing of queues.
 */
import { createHash } from 'node:crypto';
import { type Canvas, openCanvas } from '../media/painter.js';
import { type Picture, writePng } from '../media/png.js';
import { CHECKPOINTS } from './comfyui-nodes.js';
import { linkOf } from './comfyui-validation.js';
import { type Graph, type GraphNode, pythonJson } from './comfyui-wire.js';
import type { ServiceHost } from './host.js';

const CONTEXT_MIB = 610;
const RUN_MIB = 2_400;
const LOAD_MIB_PER_MS = 5;
const STEP_MS = 90;
const DECODE_MS = 120;
const KEPT_PICTURES = 64;

/** What a node gives to the nodes behind it. */
type Value =
  | { readonly kind: 'checkpoint'; readonly name: string }
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'latent';
      readonly width: number;
      readonly height: number;
      readonly batch: number;
      readonly canvases: readonly Canvas[];
    }
  | { readonly kind: 'image'; readonly pictures: readonly Picture[] };

export interface SavedPicture {
  readonly filename: string;
  readonly subfolder: string;
  readonly type: 'output' | 'temp';
}

export interface NodeResult {
  readonly value: Value | null;
  readonly pictures: readonly SavedPicture[] | null;
}

const numberOf = (node: GraphNode, name: string): number => Number(node.inputs[name]);
const textOf = (node: GraphNode, name: string): string => String(node.inputs[name] ?? '');

function filledPicture(node: GraphNode): Picture {
  const [width, height, colour] = [numberOf(node, 'width'), numberOf(node, 'height'), numberOf(node, 'color')];
  const rgb = new Uint8Array(width * height * 3);
  for (let at = 0; at < rgb.length; at += 3) rgb.set([colour >> 16, (colour >> 8) & 0xff, colour & 0xff], at);
  return { width, height, rgb };
}

export class Studio {
  readonly #host: ServiceHost;
  readonly #files = new Map<string, Buffer>();
  /** By the node's signature; only what the last prompt used stays. */
  #cache = new Map<string, NodeResult>();
  #loaded: string | null = null;
  #saved = 0;

  constructor(host: ServiceHost) {
    this.#host = host;
  }

  file(type: string, filename: string): Buffer | undefined {
    return this.#files.get(`${type}/${filename}`);
  }

  /** A node is known by its type, its inputs, and in the same way what stands before it. */
  signature(graph: Graph, id: string): string {
    const node = graph[id];
    const inputs = Object.entries(node?.inputs ?? {}).map(([name, value]) => {
      const link = linkOf(value);
      return [name, link === null ? value : [this.signature(graph, link.from), link.slot]];
    });
    return createHash('sha1')
      .update(pythonJson([node?.class_type, inputs]))
      .digest('hex');
  }

  cached(signature: string): NodeResult | undefined {
    return this.#cache.get(signature);
  }

  keep(results: ReadonlyMap<string, NodeResult>): void {
    this.#cache = new Map(results);
  }

  /** Runs one node. `source` gives the results of the nodes before it; `checkInterrupt` throws if the job must stop. */
  async run(
    node: GraphNode,
    graph: Graph,
    source: (id: string) => NodeResult | undefined,
    checkInterrupt: () => void,
  ): Promise<NodeResult> {
    const input = (name: string): Value | null => source(linkOf(node.inputs[name])?.from ?? '')?.value ?? null;
    switch (node.class_type) {
      case 'CheckpointLoaderSimple':
        return { value: { kind: 'checkpoint', name: textOf(node, 'ckpt_name') }, pictures: null };
      case 'CLIPTextEncode':
        return { value: { kind: 'text', text: textOf(node, 'text') }, pictures: null };
      case 'EmptyLatentImage': {
        const [width, height, batch] = [
          numberOf(node, 'width'),
          numberOf(node, 'height'),
          numberOf(node, 'batch_size'),
        ];
        return { value: { kind: 'latent', width, height, batch, canvases: [] }, pictures: null };
      }
      case 'KSampler':
        return { value: await this.#sample(node, input, checkInterrupt), pictures: null };
      case 'VAEDecode': {
        await this.#host.pace(DECODE_MS);
        const latent = input('samples');
        return { value: { kind: 'image', pictures: latent?.kind === 'latent' ? latent.canvases : [] }, pictures: null };
      }
      case 'EmptyImage': {
        const pictures = Array.from({ length: numberOf(node, 'batch_size') }, () => filledPicture(node));
        return { value: { kind: 'image', pictures }, pictures: null };
      }
      default: {
        const images = input('images');
        return { value: null, pictures: this.#save(node, graph, images?.kind === 'image' ? images.pictures : []) };
      }
    }
  }

  async #sample(node: GraphNode, input: (name: string) => Value | null, checkInterrupt: () => void): Promise<Value> {
    const [model, positive, negative, latent] = ['model', 'positive', 'negative', 'latent_image'].map(input);
    if (model?.kind !== 'checkpoint' || positive?.kind !== 'text' || latent?.kind !== 'latent') {
      throw new Error('KSampler: an input has the wrong type');
    }
    await this.#load(model.name);
    await this.#host.card.hold('run', RUN_MIB);
    try {
      const steps = numberOf(node, 'steps');
      const style = `${textOf(node, 'seed')} ${model.name} ${negative?.kind === 'text' ? negative.text : ''}`;
      const canvases = Array.from({ length: latent.batch }, (_, index) =>
        openCanvas(latent.width, latent.height, positive.text, `${style} ${index}`),
      );
      for (let step = 0; step < steps; step += 1) {
        checkInterrupt();
        await this.#host.pace(STEP_MS);
        for (const canvas of canvases) canvas.paintBand(step, steps);
      }
      checkInterrupt();
      return { ...latent, canvases };
    } finally {
      await this.#host.card.drop('run');
    }
  }

  /** An interrupt has no effect inside a load, as in ComfyUI. */
  async #load(name: string): Promise<void> {
    if (this.#loaded === name) return;
    await this.#host.card.hold('context', CONTEXT_MIB);
    await this.#host.card.drop('models');
    this.#loaded = null;
    const mib = CHECKPOINTS[name] ?? 0;
    await this.#host.card.hold('models', mib);
    await this.#host.pace(mib / LOAD_MIB_PER_MS);
    this.#loaded = name;
  }

  /** The context stays; so does everything else until the process ends. */
  async free(alsoCache: boolean): Promise<void> {
    await this.#host.card.drop('models');
    this.#loaded = null;
    if (alsoCache) this.#cache.clear();
  }

  #save(node: GraphNode, graph: Graph, pictures: readonly Picture[]): SavedPicture[] {
    const type = node.class_type === 'PreviewImage' ? 'temp' : 'output';
    const prefix = type === 'temp' ? 'ComfyUI_temp' : textOf(node, 'filename_prefix').replaceAll(/[^\w-]/g, '_');
    return pictures.map((picture) => {
      this.#saved += 1;
      const filename = `${prefix}_${String(this.#saved).padStart(5, '0')}_.png`;
      this.#files.set(`${type}/${filename}`, writePng(picture, { prompt: pythonJson(graph) }));
      const [oldest] = this.#files.keys();
      if (this.#files.size > KEPT_PICTURES && oldest !== undefined) this.#files.delete(oldest);
      return { filename, subfolder: '', type };
    });
  }
}
