/**
 * A stand-in for whisper-server (whisper.cpp v1.9.3): the model is on the card before the port opens and never leaves
 * it; one inference at a time behind a lock; eight worker threads, each held by an open connection; no streaming. It
 * hears the tones of `media/tones.ts` in the audio itself, and says so when there are none.
 */
import { readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { listen } from '../media/tones.js';
import { readWav, type Sound } from '../media/wav.js';
import type { Call } from './call.js';
import { ServiceHost } from './host.js';
import type { DemoService, DemoServiceOptions } from './service.js';
import { Turns } from './turns.js';
import { formatTranscript, type Segment } from './whisper-formats.js';

const WORKER_THREADS = 8;
const REQUESTS_PER_CONNECTION = 100;
const IDLE_CONNECTION_MS = 5_000;
const BODY_LIMIT_BYTES = 256 * 1024 * 1024;
const MODEL_MIB = 2_200;
const RUN_MIB = 350;
const START_MS = 600;
/** An inference takes this share of the time that its sound lasts, and never less than the encoder needs. */
const REAL_TIME_SHARE = 0.06;
const ENCODER_MS = 250;
const NUMBER_FIELDS = ['temperature', 'temperature_inc', 'offset_t', 'offset_n', 'duration', 'max_len', 'best_of'];
const PAGE = '<html><head><title>Whisper.cpp Server</title></head><body><h1>Whisper.cpp Server</h1></body></html>';
/** The first four bytes of a model file of whisper.cpp. */
const MODEL_MAGIC = 'lmgg';

export interface WhisperServerOptions extends DemoServiceOptions {
  /** What the real program does by ending with this exit code; default: the stand-in closes. */
  readonly exit?: (code: number) => void;
}

class WhisperServer {
  readonly #host: ServiceHost;
  readonly #lock = new Turns(1);
  readonly #threads = new Turns(WORKER_THREADS);
  readonly #threadOf = new WeakMap<Socket, Promise<void>>();
  readonly #exit: (code: number) => void;
  /** False after a `POST /load` that failed: `/health` then answers 404 although jobs still work. */
  #ready = true;

  constructor(options: WhisperServerOptions) {
    this.#host = new ServiceHost(
      {
        name: 'whisper-server',
        handle: (call) => this.#handle(call),
        failure: (call, error) => this.#fail(call, error),
        headers: { Server: 'whisper.cpp', 'Access-Control-Allow-Origin': '*' },
        sendsDate: false,
        bodyLimitBytes: BODY_LIMIT_BYTES,
        tune: (server) => this.#tune(server),
      },
      options,
    );
    this.#exit = options.exit ?? (() => void this.#host.close());
  }

  async start(options: WhisperServerOptions): Promise<DemoService> {
    await this.#host.card.hold('model', MODEL_MIB);
    await this.#host.pace(START_MS);
    await this.#host.listen(options);
    return this.#host;
  }

  #tune(server: Server): void {
    server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION;
    server.keepAliveTimeout = IDLE_CONNECTION_MS;
    server.on('connection', (socket) => {
      const left = new AbortController();
      socket.once('close', () => left.abort());
      // A connection that closes while it waits for a thread has given up its claim: nothing to do about it.
      const thread = this.#threads.take(left.signal).then(
        (giveBack) => {
          if (left.signal.aborted) giveBack();
          else left.signal.addEventListener('abort', giveBack, { once: true });
        },
        () => {},
      );
      this.#threadOf.set(socket, thread);
    });
  }

  async #handle(call: Call): Promise<void> {
    await this.#threadOf.get(call.socket);
    call.signal.throwIfAborted();
    const route = `${call.method === 'HEAD' ? 'GET' : call.method} ${call.path}`;
    if (route === 'GET /health' && this.#ready) {
      await call.reply(200, { 'Content-Type': 'application/json' }, JSON.stringify({ status: 'ok' }));
    } else if (route === 'GET /') {
      await call.reply(200, { 'Content-Type': 'text/html' }, PAGE);
    } else if (route === 'POST /inference') {
      await this.#inference(call);
    } else if (route === 'POST /load') {
      await this.#load(call);
    } else if (call.method === 'OPTIONS') {
      await call.reply(200, { 'Access-Control-Allow-Headers': 'content-type, authorization' });
    } else {
      await call.reply(404, { 'Content-Type': 'text/plain' }, `File Not Found (${call.path})`);
    }
  }

  async #form(call: Call): Promise<FormData | null> {
    const body = await call.body();
    const contentType = call.headers['content-type'] ?? '';
    if (!contentType.startsWith('multipart/form-data')) return null;
    try {
      return await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData();
    } catch {
      // The real server's parser leaves a form it cannot read without fields; the answer is the same 400.
      return null;
    }
  }

  /** Takes the lock before it looks at the request: even a bad one waits its turn, even if its client has gone. */
  async #inference(call: Call): Promise<void> {
    const form = await this.#form(call);
    const unlock = await this.#lock.take();
    try {
      call.signal.throwIfAborted();
      await this.#infer(call, form);
    } finally {
      unlock();
    }
  }

  async #infer(call: Call, form: FormData | null): Promise<void> {
    const file = form?.get('file');
    const sound = file instanceof Blob ? readWav(Buffer.from(await file.arrayBuffer())) : null;
    if (form === null || sound === null) {
      await call.reply(400, { 'Content-Type': 'text/plain' }, 'Invalid request');
      return;
    }
    const field = (name: string): string => {
      const value = form.get(name);
      return typeof value === 'string' ? value : '';
    };
    const wrong = NUMBER_FIELDS.find((name) => form.has(name) && Number.isNaN(Number.parseFloat(field(name))));
    if (wrong !== undefined) {
      await call.reply(500, { 'Content-Type': 'text/plain' }, '500 Internal Server Error\nstof');
      return;
    }
    const segments = await this.#hear(call, sound);
    const transcript = {
      segments,
      durationS: sound.samples.length / sound.sampleRateHz,
      languageProbabilities: field('no_language_probabilities') !== 'true',
    };
    const { contentType, body } = formatTranscript(transcript, field('response_format'));
    await call.reply(200, { 'Content-Type': contentType }, body);
  }

  async #hear(call: Call, sound: Sound): Promise<Segment[]> {
    const lengthS = sound.samples.length / sound.sampleRateHz;
    const endWork = this.#host.beginWork(call.path);
    try {
      if (call.ownFault !== null) throw new Error('failed to process audio');
      await this.#host.card.hold('run', RUN_MIB);
      await this.#host.pace(Math.max(ENCODER_MS, lengthS * 1000 * REAL_TIME_SHARE), call.signal);
      const heard = await listen(sound, call.signal);
      if (heard.messages.length > 0) return [...heard.messages];
      return [{ text: heard.silent ? '[BLANK_AUDIO]' : '[tones not understood]', startS: 0, endS: lengthS }];
    } finally {
      await this.#host.card.drop('run');
      endWork();
    }
  }

  /** Frees the old model first. A file that is no model ends the program, and the client sees the connection close. */
  async #load(call: Call): Promise<void> {
    const form = await this.#form(call);
    const unlock = await this.#lock.take();
    try {
      this.#ready = false;
      const path = form?.get('model');
      const file = typeof path === 'string' ? await readFile(path).catch(() => null) : null;
      if (file === null) {
        await call.reply(400, { 'Content-Type': 'text/plain' }, 'Invalid request');
        return;
      }
      await this.#host.card.drop('model');
      if (file.toString('latin1', 0, 4) !== MODEL_MAGIC) {
        call.reset();
        this.#exit(1);
        return;
      }
      await this.#host.card.hold('model', MODEL_MIB);
      await this.#host.pace(START_MS, call.signal);
      this.#ready = true;
      await call.reply(200, { 'Content-Type': 'application/text' }, 'Load was successful!');
    } finally {
      unlock();
    }
  }

  async #fail(call: Call, error: unknown): Promise<void> {
    if (call.begun) {
      call.reset();
    } else if (error instanceof Error && error.name === 'BodyTooLarge') {
      await call.reply(413, { 'Content-Type': 'text/plain' }, 'Invalid request');
    } else {
      await call.reply(
        500,
        { 'Content-Type': 'application/json' },
        JSON.stringify({ error: 'failed to process audio' }),
      );
    }
  }
}

export function startWhisperServer(options: WhisperServerOptions = {}): Promise<DemoService> {
  return new WhisperServer(options).start(options);
}
