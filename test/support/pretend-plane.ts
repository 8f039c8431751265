/**
 * The daemon's control plane as the page sees it, with every answer laid down by a test; the page's own files and
 * their headers come from the real routes. Owns its server, which a test may cut and bring back on the same port.
 */
import type { ServerResponse } from 'node:http';
import { createUiRoutes } from '../../src/control/ui.js';
import { BrokerError } from '../../src/errors.js';
import type { Exchange, Route } from '../../src/server/exchange.js';
import { sendJson } from '../../src/server/respond.js';
import { createServer, type DoorServer } from '../../src/server/server.js';
import type { Line } from './page-story.js';
import { HeldConfiguration, sampleConfiguration } from './sample-configuration.js';
import { SilentLog } from './silent-log.js';

const READING_EVERY_MS = 2000;

export interface Scene {
  status: Record<string, unknown>;
  readonly gpu: Record<string, unknown>;
  history: readonly Line[];
  /** All that wait, where status shows the first hundred only. */
  jobs?: readonly object[];
  mayOperate?: boolean;
  /** Older: what history has no line of. */
  before?: readonly Line[];
}

export class PretendPlane {
  scene: Scene;
  /** `METHOD /path` of every action that came. */
  readonly actions: string[] = [];
  readonly #readers = new Set<ServerResponse>();
  #readings: NodeJS.Timeout | null = null;
  #server: DoorServer | null = null;
  #port = 0;

  constructor(scene: Scene) {
    this.scene = scene;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async open(): Promise<void> {
    const bind = [{ host: '127.0.0.1', port: this.#port }];
    const configuration = new HeldConfiguration(sampleConfiguration({ bind }));
    this.#server = createServer({
      configuration,
      log: new SilentLog(),
      routes: [...this.#routes(), ...createUiRoutes()],
    });
    const [address] = await this.#server.listen();
    this.#port = address?.port ?? 0;
    this.#readings = setInterval(() => this.#read(), READING_EVERY_MS);
  }

  /** As a daemon that dies: every connection ends at once. */
  async close(): Promise<void> {
    if (this.#readings !== null) clearInterval(this.#readings);
    for (const reader of this.#readers) reader.destroy();
    this.#readers.clear();
    await this.#server?.close(0);
  }

  send(event: string, data: object): void {
    for (const reader of this.#readers) reader.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  get readers(): number {
    return this.#readers.size;
  }

  #routes(): Route[] {
    const get = (path: string, handler: (exchange: Exchange) => void): Route => ({
      method: 'GET',
      path,
      needs: 'ask',
      handler,
    });
    const act = (exchange: Exchange) => {
      this.actions.push(`${exchange.req.method} ${exchange.path}${exchange.query}`);
      exchange.req.resume();
      sendJson(exchange, 200, { done: true });
    };
    return [
      get('/v1/status', (exchange) => sendJson(exchange, 200, { ...this.scene.status, gpu: this.#gpu() })),
      get('/v1/jobs', (exchange) => sendJson(exchange, 200, { jobs: this.scene.jobs ?? [], jobs_omitted: 0 })),
      get('/v1/jobs/:id', (exchange) => sendJson(exchange, 200, this.#job(exchange.params.id ?? ''))),
      get('/v1/history', (exchange) => this.#history(exchange)),
      get('/v1/events', (exchange) => this.#listen(exchange)),
      get('/v1/whoami', (exchange) => sendJson(exchange, 200, this.#whoami())),
      { method: 'DELETE', path: '/v1/jobs/:id', needs: 'ask', handler: act },
      { method: 'POST', path: '/v1/*', needs: 'ask', handler: act },
    ];
  }

  /** A card that can be read is read again and again, however long a test takes. */
  #gpu(): object {
    const { gpu } = this.scene;
    if (typeof gpu.age_ms !== 'number' || gpu.age_ms > READING_EVERY_MS) return gpu;
    return { ...gpu, sampled_at: new Date(Date.now() - gpu.age_ms).toISOString() };
  }

  #read(): void {
    const gpu = this.#gpu();
    if (gpu !== this.scene.gpu) this.send('gpu', { at: new Date().toISOString(), gpu });
  }

  #job(id: string): unknown {
    const ended = this.scene.history.find((line) => isJob(line.job, id))?.job;
    const live = this.scene.status.jobs;
    const found = ended ?? (Array.isArray(live) ? live.find((job: unknown) => isJob(job, id)) : undefined);
    if (found === undefined) throw new BrokerError('job_not_found', `no job ${id} waits or runs`);
    return found;
  }

  #history(exchange: Exchange): void {
    const asked = new URLSearchParams(exchange.query);
    const [from, to] = [Number(asked.get('from')), Number(asked.get('to'))];
    const records = this.scene.history.filter(({ at }) => Date.parse(at) >= from && Date.parse(at) <= to);
    records.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
    sendJson(exchange, 200, {
      from: new Date(from).toISOString(),
      to: new Date(to).toISOString(),
      truncated: false,
      before: this.scene.before ?? [],
      records,
    });
  }

  #listen({ res }: Exchange): void {
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
    res.write(': connected\n\n');
    this.#readers.add(res);
    res.once('close', () => this.#readers.delete(res));
  }

  #whoami(): object {
    const mayOperate = this.scene.mayOperate ?? true;
    return {
      address: mayOperate ? '127.0.0.1' : '192.168.1.20',
      may_operate: mayOperate,
      operators: ['127.0.0.0/8', '100.64.0.0/10'],
      look_only: mayOperate
        ? null
        : '192.168.1.20 may look, not change things; to allow it: access.operators: [..., "192.168.1.20/32"]',
    };
  }
}

function isJob(value: unknown, id: string): boolean {
  return typeof value === 'object' && value !== null && 'id' in value && value.id === id;
}

export async function withPlane(scene: Scene, use: (plane: PretendPlane) => Promise<void>): Promise<void> {
  const plane = new PretendPlane(scene);
  await plane.open();
  try {
    await use(plane);
  } finally {
    await plane.close();
  }
}
