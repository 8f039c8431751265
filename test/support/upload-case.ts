/**
 * One form of 8 MiB, sent four ways by every route that takes sound, to a service that reads it by itself. Shared by the
 * unit test, which does not pause, and the long suite, which pauses as slow recorders do.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { openBroker, untilAllUp } from './open-broker.js';
import { openStandIn } from './stand-in.js';
import { openSocket } from './wire.js';

export interface Pauses {
  /** Between two chunks of 1 KiB. */
  chunk(): Promise<void>;
  /** Between the halves of a body whose length is known. */
  half(): Promise<void>;
}

const MIB = 1024 * 1024;
const BOUNDARY = '----a-boundary-of-a-form';
const TYPE = `multipart/form-data; boundary=${BOUNDARY}`;
const ROUTES = ['/v1/stt', '/v1/audio/transcriptions'];
const FILE_NAME = 'a %22b%22 ü.wav';
/** Beside the file; the order of equal names counts. */
const FIELDS = [
  ['language', 'de'],
  ['response_format', 'json'],
  ['x[]', '1'],
  ['x[]', '2'],
] as const;

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** 8 MiB of what parsers trip over: every byte, runs of zero bytes, ends of lines, what looks like a boundary. */
function awkwardFile(): Buffer {
  const looksLikeOne = Buffer.from(`\r\n\r\n--\r\n--${BOUNDARY.slice(0, -1)}\r\n`.repeat(200));
  const zeros = Buffer.alloc(300_000);
  const rest = 8 * MIB - looksLikeOne.length - zeros.length;
  return Buffer.concat([randomBytes(rest >> 1), zeros, looksLikeOne, randomBytes(rest - (rest >> 1))]);
}

function formWith(file: Buffer): Buffer {
  const field = ([name, value]: readonly [string, string]) =>
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const fileHead = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="${FILE_NAME}"\r\nContent-Type: audio/x-wav\r\n\r\n`;
  return Buffer.concat([
    ...[Buffer.from(field(FIELDS[0]) + fileHead), file, Buffer.from('\r\n')],
    Buffer.from(`${FIELDS.slice(1).map(field).join('')}--${BOUNDARY}--\r\n`),
  ]);
}

/** What the service made of one request. */
interface Received {
  readonly hash: string;
  readonly file: readonly [name: string, type: string];
  readonly fields: readonly (readonly [string, string])[];
  readonly framing: readonly string[];
}

function receivedOf(req: IncomingMessage, body: Buffer): Received {
  const boundary = /boundary=(\S+)/.exec(req.headers['content-type'] ?? '')?.[1] ?? 'none';
  const fields: (readonly [string, string])[] = [];
  let hash = '';
  let file: Received['file'] = ['', ''];
  for (const { head, content } of partsOf(body, boundary)) {
    const [, name = '', fileName] = /name="([^"]*)"(?:; filename="([^"]*)")?/.exec(head) ?? [];
    if (fileName === undefined) fields.push([name, content.toString()]);
    else {
      hash = digest(content);
      file = [fileName, /content-type: (\S+)/i.exec(head)?.[1] ?? ''];
    }
  }
  const names = req.rawHeaders.filter((_, at) => at % 2 === 0);
  const framing = names.filter((name) => /^(content-length|transfer-encoding)$/i.test(name));
  return { hash, file, fields, framing };
}

/** RFC 2046, section 5.1.1, as a service does it that trusts nobody. */
function partsOf(body: Buffer, boundary: string): { head: string; content: Buffer }[] {
  const parts: { head: string; content: Buffer }[] = [];
  const mark = Buffer.from(`\r\n--${boundary}`);
  assert.ok(body.subarray(0, mark.length - 2).equals(mark.subarray(2)), 'it begins with its boundary');
  for (let at = mark.length - 2; body.subarray(at, at + 2).toString() !== '--'; ) {
    const end = body.indexOf(mark, at);
    const headEnd = body.indexOf('\r\n\r\n', at);
    assert.ok(end !== -1 && headEnd !== -1 && headEnd < end, 'it is whole');
    parts.push({ head: body.toString('utf8', at, headEnd), content: body.subarray(headEnd + 4, end) });
    at = end + mark.length;
  }
  return parts;
}

const chunk = (piece: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);
const LAST_CHUNK = Buffer.from('0\r\n\r\n');

/** Its framing header, and how its bytes are written. */
type Way = readonly [framing: (form: Buffer) => string, write: (socket: Socket, form: Buffer) => Promise<void>];

function waysWith(pauses: Pauses): Readonly<Record<string, Way>> {
  const write = (socket: Socket, bytes: Buffer) => new Promise<void>((done) => socket.write(bytes, () => done()));
  const known = (form: Buffer) => `Content-Length: ${form.length}`;
  const unknown = () => 'Transfer-Encoding: chunked';
  return {
    'length known': [known, write],
    'chunks of 1 KiB with pauses': [
      unknown,
      async (socket, form) => {
        for (let at = 0; at < form.length; at += 1024) {
          await write(socket, chunk(form.subarray(at, at + 1024)));
          await pauses.chunk();
        }
        await write(socket, LAST_CHUNK);
      },
    ],
    'the first chunk ends inside the boundary': [
      unknown,
      async (socket, form) => {
        await write(socket, chunk(form.subarray(0, 9)));
        await pauses.chunk();
        await write(socket, Buffer.concat([chunk(form.subarray(9)), LAST_CHUNK]));
      },
    ],
    'length known, two halves': [
      known,
      async (socket, form) => {
        await write(socket, form.subarray(0, form.length >> 1));
        await pauses.half();
        await write(socket, form.subarray(form.length >> 1));
      },
    ],
  };
}

export async function checkUploads(t: TestContext, pauses: Pauses): Promise<void> {
  const received: Received[] = [];
  const service = await openStandIn(t, ({ req, res, body }) => {
    if (req.method !== 'POST') return void res.end('{}');
    void body.then((bytes) => {
      received.push(receivedOf(req, bytes));
      res.setHeader('content-type', 'application/json').end('{"text":"ok"}');
    });
  });
  const broker = await openBroker(t, {
    routes: { stt: 'stt' },
    consumers: { stt: { kind: 'whisper-server', url: service.url } },
  });
  await untilAllUp(broker);
  const file = awkwardFile();
  const form = formWith(file);
  for (const route of ROUTES) {
    for (const [way, [framing, write]] of Object.entries(waysWith(pauses))) {
      const socket = await openSocket(broker.port);
      const answered = textOf(socket);
      socket.write(
        `POST ${route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: ${TYPE}\r\n${framing(form)}\r\n\r\n`,
      );
      await write(socket, form);
      assert.match(await answered, /^HTTP\/1\.1 200 [\s\S]*\{"text":"ok"\}/, `${route}, ${way}`);
      assert.deepEqual(
        received.at(-1),
        { hash: digest(file), file: [FILE_NAME, 'audio/x-wav'], fields: FIELDS, framing: ['Content-Length'] },
        `${route}, ${way}`,
      );
    }
  }
  assert.equal(received.length, ROUTES.length * 4);
}

async function textOf(socket: Socket): Promise<string> {
  let text = '';
  for await (const bytes of socket) text += String(bytes);
  return text;
}
