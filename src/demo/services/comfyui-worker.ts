/**
 * The queue, the one worker and the history of the stand-in for ComfyUI (0.3.64): jobs run one after another long
 * after `/prompt` was answered; nobody's leaving stops them, only an interrupt does. Owns all three.
 */
import { CardFull } from '../card.js';
import type { NodeResult, Studio } from './comfyui-studio.js';
import { upstreamOf } from './comfyui-validation.js';
import type { Graph } from './comfyui-wire.js';
import type { ServiceHost } from './host.js';
import type { Fault } from './service.js';

const KEPT_HISTORY = 1_000;
const FREE_MS = 200;

export interface QueuedPrompt {
  readonly number: number;
  readonly id: string;
  readonly graph: Graph;
  readonly extra: Readonly<Record<string, unknown>>;
  readonly outputs: readonly string[];
}

type Message = readonly [name: string, data: object];

class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** As the queue and the history show a prompt. */
export const promptTuple = (prompt: QueuedPrompt): unknown[] => [
  prompt.number,
  prompt.id,
  prompt.graph,
  prompt.extra,
  prompt.outputs,
];

export class Worker {
  readonly #host: ServiceHost;
  readonly #studio: Studio;
  readonly #pending: QueuedPrompt[] = [];
  readonly #history = new Map<string, object>();
  #running: QueuedPrompt | null = null;
  #interrupted = false;
  #lost = false;
  #unloadAsked = false;
  #freeAsked = false;
  #looping = false;

  constructor(host: ServiceHost, studio: Studio) {
    this.#host = host;
    this.#studio = studio;
  }

  get running(): readonly QueuedPrompt[] {
    return this.#running === null ? [] : [this.#running];
  }

  get pending(): readonly QueuedPrompt[] {
    return this.#pending;
  }

  get history(): ReadonlyMap<string, object> {
    return this.#history;
  }

  /** Lower numbers run first; equal ones in the order of their coming. */
  queue(prompt: QueuedPrompt): void {
    const at = this.#pending.findIndex((other) => other.number > prompt.number);
    this.#pending.splice(at === -1 ? this.#pending.length : at, 0, prompt);
    this.#wake();
  }

  /** Takes waiting prompts out, without an event or a history entry for them; null: all. */
  unqueue(ids: readonly string[] | null): void {
    const staying = ids === null ? [] : this.#pending.filter((prompt) => !ids.includes(prompt.id));
    this.#pending.splice(0, this.#pending.length, ...staying);
    this.#host.changed();
  }

  /** null: whatever runs. */
  interrupt(id: string | null): void {
    if (this.#running !== null && (id === null || id === this.#running.id)) this.#interrupted = true;
  }

  /** Only asks: the worker does it between jobs. */
  free(unloadModels: boolean, freeMemory: boolean): void {
    this.#unloadAsked ||= unloadModels || freeMemory;
    this.#freeAsked ||= freeMemory;
    this.#wake();
  }

  forgetHistory(ids: readonly string[] | null): void {
    for (const id of ids ?? [...this.#history.keys()]) this.#history.delete(id);
  }

  /** As after a restart of the program: no queue, no history, and the running job leaves no trace. */
  loseEverything(): void {
    this.unqueue(null);
    this.forgetHistory(null);
    this.#lost = true;
    this.#interrupted = this.#running !== null;
  }

  #wake(): void {
    this.#host.changed();
    if (this.#looping) return;
    this.#looping = true;
    this.#loop()
      // Only the service's closing ends a wait in here: the queue goes with it.
      .catch((error: unknown) => {
        if (!this.#host.closing.signal.aborted) throw error;
      })
      .finally(() => {
        this.#looping = false;
      });
  }

  async #loop(): Promise<void> {
    for (;;) {
      await this.#freeIfAsked();
      const prompt = this.#pending.shift();
      if (prompt === undefined) return;
      this.#lost = false;
      this.#interrupted = false;
      this.#running = prompt;
      const endWork = this.#host.beginWork(prompt.id);
      const entry = await this.#run(prompt).finally(endWork);
      // The entry is there before the prompt leaves the queue: nobody can find it in neither.
      if (!this.#lost) this.#remember(prompt.id, entry);
      this.#running = null;
      this.#host.changed();
    }
  }

  async #freeIfAsked(): Promise<void> {
    if (!this.#unloadAsked) return;
    const alsoCache = this.#freeAsked;
    this.#unloadAsked = false;
    this.#freeAsked = false;
    await this.#host.pace(FREE_MS);
    await this.#studio.free(alsoCache);
    this.#host.changed();
  }

  #remember(id: string, entry: object): void {
    this.#history.set(id, entry);
    const [oldest] = this.#history.keys();
    if (this.#history.size > KEPT_HISTORY && oldest !== undefined) this.#history.delete(oldest);
  }

  async #run(prompt: QueuedPrompt): Promise<object> {
    const messages: Message[] = [];
    const say = (name: string, data: object = {}): void => {
      messages.push([name, { prompt_id: prompt.id, ...data, timestamp: Date.now() }]);
    };
    const order = [...new Set(prompt.outputs.flatMap((output) => upstreamOf(prompt.graph, output)))];
    const results = new Map<string, NodeResult>();
    const bySignature = new Map<string, NodeResult>();
    const cached = order.filter((id) => this.#studio.cached(this.#studio.signature(prompt.graph, id)) !== undefined);
    say('execution_start');
    say('execution_cached', { nodes: cached });
    let current = '';
    let good = true;
    try {
      for (const id of order) {
        current = id;
        const signature = this.#studio.signature(prompt.graph, id);
        const result = this.#studio.cached(signature) ?? (await this.#runNode(prompt, id, results));
        results.set(id, result);
        bySignature.set(signature, result);
      }
      say('execution_success');
    } catch (error) {
      if (this.#host.closing.signal.aborted) throw error;
      good = false;
      const where = { node_id: current, node_type: prompt.graph[current]?.class_type, executed: [...results.keys()] };
      if (error instanceof Interrupted) say('execution_interrupted', where);
      else say('execution_error', { ...where, ...describe(error) });
      // ComfyUI gives up all its models after an out-of-memory error.
      if (error instanceof CardFull) await this.#studio.free(true);
    }
    this.#studio.keep(bySignature);
    const pictures = [...results].filter(([, result]) => result.pictures !== null);
    return {
      prompt: promptTuple(prompt),
      outputs: Object.fromEntries(pictures.map(([id, result]) => [id, { images: result.pictures }])),
      status: { status_str: good ? 'success' : 'error', completed: good, messages },
      meta: Object.fromEntries(
        pictures.map(([id]) => [id, { node_id: id, display_node: id, parent_node: null, real_node_id: id }]),
      ),
    };
  }

  async #runNode(prompt: QueuedPrompt, id: string, results: ReadonlyMap<string, NodeResult>): Promise<NodeResult> {
    const node = prompt.graph[id];
    if (node === undefined) throw new Error(`node ${id} is not in the graph`);
    this.#checkInterrupt();
    this.#failIfAsked(this.#host.faultOn('/prompt'));
    return this.#studio.run(
      node,
      prompt.graph,
      (from) => results.get(from),
      () => this.#checkInterrupt(),
    );
  }

  #checkInterrupt(): void {
    if (this.#interrupted) throw new Interrupted('interrupted');
  }

  #failIfAsked(fault: Fault | null): void {
    if (fault === 'job-fails') throw new Error('mat1 and mat2 shapes cannot be multiplied (77x768 and 1024x320)');
    if (fault === 'out-of-memory') throw new CardFull({ askedMib: 2_400, ...this.#host.card.memory() });
  }
}

/** `execution_error` as torch's and Python's exceptions look in it. */
function describe(error: unknown): object {
  const outOfMemory = error instanceof CardFull;
  const text = error instanceof Error ? error.message : String(error);
  return {
    exception_message: outOfMemory
      ? `${error.torchMessage()}\nThis error means you ran out of memory on your GPU.\n`
      : `${text}\n`,
    exception_type: outOfMemory ? 'torch.OutOfMemoryError' : 'RuntimeError',
    traceback: [],
    current_inputs: {},
    current_outputs: [],
  };
}
