/**
 * `GET /v1/events`: what happens, as server-sent events, from now on (what was, is in status and jobs). Owns the open
 * streams. A reader that is too slow is told so and dropped: it never slows the broker nor fills its memory.
 */
import type { ServerResponse } from 'node:http';
import { BrokerError } from '../errors.js';
import type { Clock, ConfigurationPort, JournalPort, Log } from '../runtime/ports.js';
import type { Exchange, Route } from '../server/exchange.js';
import { eventText } from './event-json.js';

export interface EventsOptions {
  readonly journal: JournalPort;
  readonly configuration: ConfigurationPort;
  readonly clock: Clock;
  readonly log: Log;
  /** Streams open at once; default 100. */
  readonly maxReaders?: number;
  /** What may wait in memory for one reader; default 1 MiB. */
  readonly maxBehindBytes?: number;
  /** A comment goes out so often, so that no proxy takes the stream for dead; default 15 s. */
  readonly keepAliveMs?: number;
  /** How long a dropped reader has to take what waits for it; default 10 s. */
  readonly partingMs?: number;
}

export interface Events {
  readonly routes: Route[];
  /** Ends all streams. */
  close(): void;
}

const HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  // nginx holds events back otherwise.
  'X-Accel-Buffering': 'no',
};

export function createEvents(options: EventsOptions): Events {
  const { journal, configuration, clock, log } = options;
  const maxReaders = options.maxReaders ?? 100;
  const maxBehindBytes = options.maxBehindBytes ?? 1024 * 1024;
  const readers = new Set<ServerResponse>();

  const unsubscribe = journal.subscribe((fact) => {
    if (readers.size > 0) tellAll(eventText(fact, clock, configuration.current().gpu.source));
  });
  const keepAlive = setInterval(() => tellAll(': still here\n\n'), options.keepAliveMs ?? 15_000);
  keepAlive.unref();

  function tellAll(text: string): void {
    for (const res of readers) {
      if (res.writableLength > maxBehindBytes) drop(res);
      else res.write(text);
    }
  }

  function drop(res: ServerResponse): void {
    readers.delete(res);
    log.info({ behind_bytes: res.writableLength }, 'dropped a reader of events that was too slow');
    const message =
      'too slow: events were left out from here on; take a new snapshot from /v1/status and connect again';
    res.end(`event: dropped\ndata: ${JSON.stringify({ message })}\n\n`);
    const cut = setTimeout(() => res.destroy(), options.partingMs ?? 10_000);
    res.once('close', () => clearTimeout(cut));
  }

  function open(exchange: Exchange): void {
    const { req, res } = exchange;
    if (readers.size >= maxReaders) {
      throw new BrokerError(
        'no_space',
        `${readers.size} readers of events are connected, which is the most; close one`,
      );
    }
    res.writeHead(200, HEADERS);
    if (req.method === 'HEAD') {
      res.end();
      return;
    }
    res.write('retry: 2000\n: connected\n\n');
    readers.add(res);
    res.once('close', () => readers.delete(res));
  }

  return {
    routes: [{ method: 'GET', path: '/v1/events', needs: 'ask', handler: open }],
    close() {
      unsubscribe();
      clearInterval(keepAlive);
      for (const res of readers) res.end(': the broker is stopping\n\n');
      readers.clear();
    },
  };
}
