/**
 * A stand-in for ComfyUI (0.3.64) without its page and its websocket: every route with and without `/api`. Owns the
 * routes; the queue is in `comfyui-worker.ts`, what nodes do in `comfyui-studio.ts`.
 */
import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { Call } from './call.js';
import { CHECKPOINTS, NODE_TYPES, objectInfo } from './comfyui-nodes.js';
import { Studio } from './comfyui-studio.js';
import { validate } from './comfyui-validation.js';
import { complaint, freeSchema, interruptSchema, promptSchema, pythonJson, queueSchema } from './comfyui-wire.js';
import { promptTuple, Worker } from './comfyui-worker.js';
import { ServiceHost } from './host.js';
import type { DemoService, DemoServiceOptions } from './service.js';

const BODY_LIMIT_BYTES = 100 * 1024 * 1024;
const BYTES_PER_MIB = 1024 * 1024;
const VERSION = '0.3.64';
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i;

export interface ComfyuiService extends DemoService {
  /** As after a restart of the program: queue and history are gone, a running job leaves no trace. */
  loseEverything(): void;
}

type Route = (call: Call, rest: string) => Promise<void>;

const replyJson = (call: Call, value: unknown, status = 200): Promise<void> =>
  call.reply(status, { 'Content-Type': 'application/json; charset=utf-8' }, pythonJson(value));

/** aiohttp's empty answer. */
const replyEmpty = (call: Call, status = 200): Promise<void> =>
  call.reply(status, { 'Content-Type': 'application/octet-stream' });

const replyText = (call: Call, status: number, text: string, headers: Record<string, string> = {}): Promise<void> =>
  call.reply(status, { 'Content-Type': 'text/plain; charset=utf-8', ...headers }, text);

/** Throws on what is no JSON or has the wrong types: the real one answers both with its 500. */
async function parseBody<T>(call: Call, schema: z.ZodType<T>): Promise<T> {
  return schema.parse(JSON.parse((await call.body()).toString('utf8')));
}

class Comfyui {
  readonly host: ServiceHost;
  readonly worker: Worker;
  readonly #studio: Studio;
  readonly #routes: ReadonlyMap<string, Readonly<Record<string, Route>>>;
  #counter = 0;

  constructor(options: DemoServiceOptions) {
    this.host = new ServiceHost(
      {
        name: 'comfyui',
        handle: (call) => this.#handle(call),
        failure: (call) => this.#fail(call),
        headers: { Server: 'Python/3.12 aiohttp/3.11.18' },
        sendsDate: true,
        bodyLimitBytes: BODY_LIMIT_BYTES,
      },
      options,
    );
    this.#studio = new Studio(this.host);
    this.worker = new Worker(this.host, this.#studio);
    this.#routes = new Map<string, Readonly<Record<string, Route>>>([
      ['', { GET: (call) => replyText(call, 200, 'ComfyUI stand-in: no page here, the API only.\n') }],
      ['prompt', { GET: (call) => this.#remaining(call), POST: (call) => this.#prompt(call) }],
      ['queue', { GET: (call) => this.#queue(call), POST: (call) => this.#changeQueue(call) }],
      ['interrupt', { POST: (call) => this.#interrupt(call) }],
      ['free', { POST: (call) => this.#free(call) }],
      ['history', { GET: (call, rest) => this.#history(call, rest), POST: (call) => this.#changeHistory(call) }],
      ['view', { GET: (call) => this.#view(call) }],
      ['system_stats', { GET: (call) => this.#stats(call) }],
      ['object_info', { GET: (call, rest) => this.#objectInfo(call, rest) }],
      ['models', { GET: (call, rest) => this.#models(call, rest) }],
    ]);
  }

  async #handle(call: Call): Promise<void> {
    if (this.#foreign(call)) return replyEmpty(call, 403);
    const [name = '', ...rest] = call.path
      .replace(/^\/api(?=\/)/, '')
      .slice(1)
      .split('/');
    const methods = this.#routes.get(name);
    if (methods === undefined || rest.length > 1) return replyText(call, 404, '404: Not Found');
    const route = methods[call.method === 'HEAD' ? 'GET' : call.method];
    if (route === undefined) {
      return replyText(call, 405, '405: Method Not Allowed', { Allow: Object.keys(methods).join(',') });
    }
    await route(call, decodeURIComponent(rest[0] ?? ''));
  }

  /** On loopback it answers no web page of another origin. */
  #foreign(call: Call): boolean {
    const { host = '', origin } = call.headers;
    if (call.headers['sec-fetch-site'] === 'cross-site') return true;
    return LOOPBACK.test(host) && origin !== undefined && origin.replace(/^\w+:\/\//, '') !== host;
  }

  #remaining(call: Call): Promise<void> {
    const remaining = this.worker.running.length + this.worker.pending.length;
    return replyJson(call, { exec_info: { queue_remaining: remaining } });
  }

  async #prompt(call: Call): Promise<void> {
    const request = await parseBody(call, promptSchema);
    if (request.prompt === undefined) {
      return replyJson(
        call,
        { error: complaint('no_prompt', 'No prompt provided', 'No prompt provided'), node_errors: {} },
        400,
      );
    }
    const verdict = validate(request.prompt);
    if (!verdict.good) return replyJson(call, { error: verdict.error, node_errors: verdict.nodeErrors }, 400);
    const number = request.number ?? (request.front === true ? -this.#counter : this.#counter);
    if (request.number === undefined) this.#counter += 1;
    const id = request.prompt_id ?? randomUUID();
    const extra = { ...request.extra_data, ...(request.client_id !== undefined && { client_id: request.client_id }) };
    this.worker.queue({ number, id, graph: request.prompt, extra, outputs: verdict.outputs });
    await replyJson(call, { prompt_id: id, number, node_errors: verdict.nodeErrors });
  }

  #queue(call: Call): Promise<void> {
    const { running, pending } = this.worker;
    return replyJson(call, { queue_running: running.map(promptTuple), queue_pending: pending.map(promptTuple) });
  }

  async #changeQueue(call: Call): Promise<void> {
    const request = await parseBody(call, queueSchema);
    if (request.clear === true) this.worker.unqueue(null);
    if (request.delete !== undefined) this.worker.unqueue(request.delete);
    await replyEmpty(call);
  }

  /** A body that is no JSON counts as an empty one here. */
  async #interrupt(call: Call): Promise<void> {
    const text = (await call.body()).toString('utf8');
    let asked: unknown = {};
    try {
      asked = JSON.parse(text);
    } catch {
      asked = {};
    }
    const request = interruptSchema.safeParse(asked);
    this.worker.interrupt(request.success ? (request.data.prompt_id ?? null) : null);
    await replyEmpty(call);
  }

  async #free(call: Call): Promise<void> {
    const request = await parseBody(call, freeSchema);
    await replyEmpty(call);
    this.worker.free(request.unload_models, request.free_memory);
  }

  async #history(call: Call, id: string): Promise<void> {
    const { history } = this.worker;
    if (id !== '') {
      const entry = history.get(id);
      return replyJson(call, entry === undefined ? {} : { [id]: entry });
    }
    const most = Number(call.query.get('max_items') ?? history.size);
    await replyJson(call, Object.fromEntries([...history].slice(-Math.max(1, most))));
  }

  async #changeHistory(call: Call): Promise<void> {
    const request = await parseBody(call, queueSchema);
    if (request.clear === true) this.worker.forgetHistory(null);
    if (request.delete !== undefined) this.worker.forgetHistory(request.delete);
    await replyEmpty(call);
  }

  async #view(call: Call): Promise<void> {
    const filename = call.query.get('filename') ?? '';
    if (filename === '') return replyEmpty(call, 404);
    if (filename.startsWith('/') || filename.includes('..')) return replyEmpty(call, 400);
    const file = this.#studio.file(call.query.get('type') ?? 'output', filename);
    if (file === undefined) return replyEmpty(call, 404);
    await call.reply(200, { 'Content-Type': 'image/png', 'Content-Disposition': `filename="${filename}"` }, file);
  }

  #stats(call: Call): Promise<void> {
    const { totalMib, freeMib, heldMib } = this.host.card.memory();
    const memory = process.memoryUsage();
    return replyJson(call, {
      system: {
        os: 'posix',
        ram_total: memory.heapTotal,
        ram_free: memory.heapTotal - memory.heapUsed,
        comfyui_version: VERSION,
        python_version: '3.12 (stand-in)',
        pytorch_version: '2.8.0 (stand-in)',
        embedded_python: false,
        argv: ['main.py'],
      },
      devices: [
        {
          name: 'cuda:0 pretend card : cudaMallocAsync',
          type: 'cuda',
          index: 0,
          vram_total: totalMib * BYTES_PER_MIB,
          vram_free: freeMib * BYTES_PER_MIB,
          torch_vram_total: heldMib * BYTES_PER_MIB,
          torch_vram_free: 0,
        },
      ],
    });
  }

  #objectInfo(call: Call, name: string): Promise<void> {
    const wanted = Object.entries(NODE_TYPES).filter(([each]) => name === '' || each === name);
    return replyJson(call, Object.fromEntries(wanted.map(([each, type]) => [each, objectInfo(each, type)])));
  }

  #models(call: Call, folder: string): Promise<void> {
    if (folder === '') return replyJson(call, ['checkpoints']);
    return folder === 'checkpoints' ? replyJson(call, Object.keys(CHECKPOINTS)) : replyEmpty(call, 404);
  }

  async #fail(call: Call): Promise<void> {
    if (call.begun) call.reset();
    else await replyText(call, 500, '500 Internal Server Error\n\nServer got itself in trouble');
  }
}

export async function startComfyui(options: DemoServiceOptions = {}): Promise<ComfyuiService> {
  const { host, worker } = new Comfyui(options);
  await host.listen(options);
  return Object.assign(host, { loseEverything: () => worker.loseEverything() });
}
