/**
 * A stand-in for AUTOMATIC1111's API (1.10.1): text to picture behind one lock, progress, interrupt, and the unload that
 * does not wait for it. Nobody's leaving stops a job. Owns the checkpoint on its card.
 */
import { z } from 'zod';
import { CardFull } from '../card.js';
import { openCanvas } from '../media/painter.js';
import { writePng } from '../media/png.js';
import { BodyTooLarge, type Call } from './call.js';
import { ServiceHost } from './host.js';
import type { DemoService, DemoServiceOptions } from './service.js';
import { Turns } from './turns.js';

const BODY_LIMIT_BYTES = 64 * 1024 * 1024;
const CHECKPOINTS = ['demo-xl', 'demo-small'];
const CONTEXT_MIB = 600;
const CHECKPOINT_MIB = 6_000;
const RUN_MIB = 1_200;
const LOAD_MS = 800;
const STEP_MS = 60;
const JSON_TYPE = { 'content-type': 'application/json' };

const jobSchema = z.looseObject({
  prompt: z.string().default(''),
  width: z.number().default(512),
  height: z.number().default(512),
  steps: z.number().default(10),
  n_iter: z.number().default(1),
  seed: z.number().default(-1),
  do_not_save_grid: z.boolean().default(false),
  force_task_id: z.string().nullish(),
  override_settings: z.looseObject({ sd_model_checkpoint: z.string().optional() }).default({}),
});

class Automatic1111 {
  readonly #host: ServiceHost;
  readonly #lock = new Turns(1);
  #job: { readonly task: string; step: number; steps: number } | null = null;
  #interrupted = false;
  #tasks = 0;

  constructor(options: DemoServiceOptions) {
    this.#host = new ServiceHost(
      {
        name: 'automatic1111',
        handle: (call) => this.#handle(call),
        failure: (call, error) => this.#fail(call, error),
        headers: { server: 'uvicorn' },
        sendsDate: true,
        bodyLimitBytes: BODY_LIMIT_BYTES,
      },
      options,
    );
  }

  async start(options: DemoServiceOptions): Promise<DemoService> {
    await this.#host.card.hold('context', CONTEXT_MIB);
    await this.#host.card.hold('checkpoint', CHECKPOINT_MIB);
    await this.#host.listen(options);
    return this.#host;
  }

  async #handle(call: Call): Promise<void> {
    switch (`${call.method === 'HEAD' ? 'GET' : call.method} ${call.path}`) {
      case 'GET /sdapi/v1/progress':
        return this.#json(call, this.#progress());
      case 'GET /sdapi/v1/sd-models':
        return this.#json(
          call,
          CHECKPOINTS.map((name) => ({ title: `${name}.safetensors [0000]`, model_name: name })),
        );
      case 'POST /sdapi/v1/interrupt':
        this.#interrupted = this.#job !== null;
        return this.#json(call, {});
      case 'POST /sdapi/v1/unload-checkpoint':
        await this.#host.card.drop('checkpoint');
        return this.#json(call, {});
      case 'POST /sdapi/v1/reload-checkpoint':
        await this.#host.card.hold('checkpoint', CHECKPOINT_MIB);
        await this.#host.pace(LOAD_MS);
        return this.#json(call, {});
      case 'POST /sdapi/v1/txt2img':
        return this.#paint(call);
      default:
        return this.#json(call, { detail: 'Not Found' }, 404);
    }
  }

  #progress(): object {
    const job = this.#job;
    return {
      progress: job === null ? 0 : job.step / job.steps,
      eta_relative: 0,
      state: { job: job === null ? '' : 'txt2img', job_count: job === null ? 0 : -1, sampling_step: job?.step ?? 0 },
      current_image: null,
      current_task: job?.task ?? null,
    };
  }

  async #paint(call: Call): Promise<void> {
    const parsed = jobSchema.safeParse(JSON.parse((await call.body()).toString('utf8')));
    if (!parsed.success) return this.#json(call, { detail: [{ loc: ['body'], msg: parsed.error.message }] }, 422);
    const job = parsed.data;
    const asked = job.override_settings.sd_model_checkpoint;
    if (asked !== undefined && !CHECKPOINTS.includes(asked)) throw new Error(`No checkpoint ${asked} found`);
    const giveBack = await this.#lock.take(this.#host.closing.signal);
    const endWork = this.#host.beginWork(asked ?? 'txt2img');
    this.#tasks += 1;
    this.#job = { task: job.force_task_id ?? `task(txt2img-${this.#tasks})`, step: 0, steps: job.steps * job.n_iter };
    this.#interrupted = false;
    try {
      if (call.ownFault === 'out-of-memory') throw new CardFull({ askedMib: RUN_MIB, ...this.#host.card.memory() });
      await this.#host.card.hold('run', RUN_MIB);
      const images = await this.#pictures(job);
      if (call.ownFault === 'job-fails') throw new Error('mat1 and mat2 shapes cannot be multiplied');
      // With several a grid stands before them unless it is declined.
      const hasGrid = images.length > 1 && !job.do_not_save_grid;
      const first = images[0] ?? '';
      const info = JSON.stringify({ index_of_first_image: hasGrid ? 1 : 0, seed: job.seed });
      await this.#json(call, { images: hasGrid ? [first, ...images] : images, parameters: job, info });
    } finally {
      await this.#host.card.drop('run');
      this.#job = null;
      endWork();
      giveBack();
    }
  }

  /** An interrupted job answers with what it has. */
  async #pictures({ prompt, width, height, steps, n_iter, seed }: z.infer<typeof jobSchema>): Promise<string[]> {
    const images: string[] = [];
    for (let at = 0; at < n_iter && !this.#interrupted; at += 1) {
      const canvas = openCanvas(width, height, prompt, `${seed} ${at}`);
      for (let step = 0; step < steps && !this.#interrupted; step += 1) {
        await this.#host.pace(STEP_MS);
        canvas.paintBand(step, steps);
        if (this.#job !== null) this.#job.step += 1;
      }
      images.push(writePng(canvas).toString('base64'));
    }
    return images;
  }

  #json(call: Call, value: unknown, status = 200): Promise<void> {
    return call.reply(status, JSON_TYPE, JSON.stringify(value));
  }

  async #fail(call: Call, error: unknown): Promise<void> {
    if (call.begun) return call.reset();
    if (error instanceof BodyTooLarge) return this.#json(call, { detail: error.message }, 413);
    const isFull = error instanceof CardFull;
    const text = error instanceof Error ? error.message : String(error);
    const told = { detail: '', body: '', errors: isFull ? error.torchMessage() : text };
    await this.#json(call, { error: isFull ? 'OutOfMemoryError' : 'RuntimeError', ...told }, 500);
  }
}

export const startAutomatic1111 = (options: DemoServiceOptions = {}): Promise<DemoService> =>
  new Automatic1111(options).start(options);
