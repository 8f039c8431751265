/**
 * The service behind every proxy: events with the time of their sending, a large answer, a slow reader of a large
 * body, and a small answer where nginx is missing. Argument: its port.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { SMALL_ANSWER } from './nginx.js';

const EVENT_EVERY_MS = 20;
const PIECE = Buffer.alloc(64 * 1024, 'x');
/** A reader of about 64 MiB/s: it takes one MiB, then rests. */
const REST_AFTER_BYTES = 1024 * 1024;
const REST_MS = 15;

/** Until its reader leaves. The clock is the machine's, the same one in every process. */
function sendEvents(_req: IncomingMessage, res: ServerResponse): void {
  res.writeHead(200, { 'Content-Type': 'text/event-stream' });
  res.flushHeaders();
  const timer = setInterval(() => res.write(`data: ${process.hrtime.bigint()}\n\n`), EVENT_EVERY_MS);
  res.once('close', () => clearInterval(timer));
}

/** `X-Size: BYTES` says how much. */
function sendMuch(req: IncomingMessage, res: ServerResponse): void {
  let leftBytes = Number(req.headers['x-size']);
  res.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': leftBytes });
  const more = () => {
    while (leftBytes > 0 && !res.destroyed) {
      leftBytes -= PIECE.length;
      if (!res.write(PIECE)) {
        res.once('drain', more);
        return;
      }
    }
    res.end();
  };
  more();
}

async function takeSlowly(req: IncomingMessage, res: ServerResponse): Promise<void> {
  let sizeBytes = 0;
  let sinceRestBytes = 0;
  for await (const piece of req) {
    sizeBytes += piece.length;
    sinceRestBytes += piece.length;
    if (sinceRestBytes < REST_AFTER_BYTES) continue;
    sinceRestBytes = 0;
    await pause(REST_MS);
  }
  res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ sizeBytes }));
}

createServer((req, res) => {
  if (req.url === '/v1/tts') sendEvents(req, res);
  else if (req.url === '/v1/image') sendMuch(req, res);
  else if (req.url === '/v1/stt') void takeSlowly(req, res).catch(() => res.destroy());
  else {
    req.resume();
    res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': SMALL_ANSWER.length }).end(SMALL_ANSWER);
  }
}).listen(Number(process.argv[2]), '127.0.0.1');
