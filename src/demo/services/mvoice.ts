/**
 * A stand-in for mvoice, a private text-to-speech service of which only this is known: JSON in, JSON out with a path
 * under `/audio/` to a WAV. The rest is written as a service on FastAPI and uvicorn would do it. The voice is tones
 * (`media/tones.ts`). One synthesis at a time; the weights come with the first job and stay until `POST /unload`.
 */
import { z } from 'zod';
import { CardFull } from '../card.js';
import { speak, spokenLengthS } from '../media/tones.js';
import { writeWav } from '../media/wav.js';
import { AudioShelf } from './audio-shelf.js';
import { BodyTooLarge, type Call } from './call.js';
import { ServiceHost } from './host.js';
import type { DemoService, DemoServiceOptions } from './service.js';
import { Turns } from './turns.js';

const SPEAK_PATHS = ['/v1/tts', '/tts', '/api/tts', '/v1/audio/speech'];
const TEXT_LIMIT_CHARACTERS = 4_000;
const CONTEXT_MIB = 610;
const WEIGHTS_MIB = 3_700;
const RUN_MIB = 900;
const LOAD_MS = 1_200;
/** A synthesis takes this share of the time that its sound lasts. */
const REAL_TIME_SHARE = 0.1;
const SYNTHESIS_SLICES = 10;
const JSON_TYPE = { 'content-type': 'application/json' };

const requestSchema = z.object({
  text: z.string().optional(),
  input: z.string().optional(),
  voice: z.string().default('tones'),
});

const replyJson = (call: Call, status: number, body: unknown): Promise<void> =>
  call.reply(status, JSON_TYPE, JSON.stringify(body));

/** FastAPI's answer to a body that does not fit. */
const invalid = (call: Call, type: string, loc: readonly (string | number)[], msg: string): Promise<void> =>
  replyJson(call, 422, { detail: [{ type, loc, msg, input: null }] });

class Mvoice {
  readonly #host: ServiceHost;
  readonly #turns = new Turns(1);
  readonly #shelf = new AudioShelf();
  #loaded = false;

  constructor(options: DemoServiceOptions) {
    this.#host = new ServiceHost(
      {
        name: 'mvoice',
        handle: (call) => this.#handle(call),
        failure: (call, error) => this.#fail(call, error),
        headers: { server: 'uvicorn' },
        sendsDate: true,
        bodyLimitBytes: 1024 * 1024,
      },
      options,
    );
  }

  async listen(options: DemoServiceOptions): Promise<DemoService> {
    await this.#host.listen(options);
    return this.#host;
  }

  async #handle(call: Call): Promise<void> {
    const reads = call.method === 'GET' || call.method === 'HEAD';
    if (SPEAK_PATHS.includes(call.path)) {
      await (call.method === 'POST' ? this.#speak(call) : this.#wrongMethod(call, 'POST'));
    } else if (call.path === '/unload') {
      await (call.method === 'POST' ? this.#unload(call) : this.#wrongMethod(call, 'POST'));
    } else if (call.path === '/health') {
      await (reads ? replyJson(call, 200, { status: 'ok', loaded: this.#loaded }) : this.#wrongMethod(call, 'GET'));
    } else if (!(reads && call.path.startsWith('/audio/') && (await this.#shelf.serve(call)))) {
      await replyJson(call, 404, { detail: 'Not Found' });
    }
  }

  async #wrongMethod(call: Call, allow: string): Promise<void> {
    await call.reply(405, { ...JSON_TYPE, allow }, JSON.stringify({ detail: 'Method Not Allowed' }));
  }

  async #speak(call: Call): Promise<void> {
    const body = await call.body();
    let parsed: unknown;
    try {
      parsed = JSON.parse(body.toString('utf8'));
    } catch {
      return invalid(call, 'json_invalid', ['body', 0], 'JSON decode error');
    }
    const request = requestSchema.safeParse(parsed);
    const text = request.success ? (request.data.text ?? request.data.input) : undefined;
    if (!request.success || text === undefined) return invalid(call, 'missing', ['body', 'text'], 'Field required');
    if (text.trim() === '')
      return invalid(call, 'string_too_short', ['body', 'text'], 'String should have at least 1 character');
    if (text.length > TEXT_LIMIT_CHARACTERS) {
      return invalid(
        call,
        'string_too_long',
        ['body', 'text'],
        `String should have at most ${TEXT_LIMIT_CHARACTERS} characters`,
      );
    }
    const giveBack = await this.#turns.take(call.signal);
    let answer: object;
    try {
      answer = await this.#synthesise(call, text, request.data.voice);
    } finally {
      giveBack();
    }
    // The card is free again before the answer goes out: a slow reader keeps nobody waiting.
    await replyJson(call, 200, answer);
  }

  async #synthesise(call: Call, text: string, voice: string): Promise<object> {
    if (call.ownFault === 'job-fails') throw new Error('synthesis failed');
    const endWork = this.#host.beginWork(call.path);
    try {
      await this.#load(call);
      await this.#host.card.hold('run', RUN_MIB);
      const lengthS = spokenLengthS(Buffer.byteLength(text));
      for (let slice = 0; slice < SYNTHESIS_SLICES; slice += 1) {
        await this.#host.pace((lengthS * 1000 * REAL_TIME_SHARE) / SYNTHESIS_SLICES, call.signal);
      }
      const sound = await speak(text, call.signal);
      const path = this.#shelf.put(writeWav(sound));
      const durationS = Number((sound.samples.length / sound.sampleRateHz).toFixed(3));
      return { audio: path, duration_s: durationS, sample_rate: sound.sampleRateHz, voice };
    } finally {
      await this.#host.card.drop('run');
      endWork();
    }
  }

  async #load(call: Call): Promise<void> {
    if (call.ownFault === 'out-of-memory') {
      throw new CardFull({ askedMib: WEIGHTS_MIB, ...this.#host.card.memory() });
    }
    if (this.#loaded) return;
    await this.#host.card.hold('context', CONTEXT_MIB);
    await this.#host.card.hold('weights', WEIGHTS_MIB);
    try {
      await this.#host.pace(LOAD_MS, call.signal);
    } catch (error) {
      await this.#host.card.drop('weights');
      throw error;
    }
    this.#loaded = true;
  }

  /** Waits for the job that runs. The CUDA context stays, as it does in a PyTorch process. */
  async #unload(call: Call): Promise<void> {
    const giveBack = await this.#turns.take(call.signal);
    try {
      await this.#host.card.drop('weights');
      this.#loaded = false;
    } finally {
      giveBack();
    }
    await replyJson(call, 200, { status: 'unloaded' });
  }

  async #fail(call: Call, error: unknown): Promise<void> {
    if (call.begun) {
      call.reset();
    } else if (error instanceof BodyTooLarge) {
      await replyJson(call, 413, { detail: error.message });
    } else if (error instanceof CardFull) {
      await replyJson(call, 500, { detail: error.torchMessage() });
    } else {
      await replyJson(call, 500, { detail: error instanceof Error ? error.message : String(error) });
    }
  }
}

export function startMvoice(options: DemoServiceOptions = {}): Promise<DemoService> {
  return new Mvoice(options).listen(options);
}
